"""Packages that are not always there: PyTorch and the converters, each with the pip line that brings it."""

from __future__ import annotations

import importlib

from steelyard.train.errors import ExtraMissingError

# What is imported -> the extra that installs it.
_EXTRAS = {
    "torch": "train",
    "onnxscript": "train",
    "torchao": "train",
    "torch_pruning": "train",
    "litert_torch": "train-tflite",
    "coremltools": "train-coreml",
}


def need(module: str, *, what: str) -> None:
    """Refuse to go on without an optional package; ``what`` says in the sentence what needs it.

    Raises:
        ExtraMissingError: extra_missing, with the pip line.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ExtraMissingError(
            "extra_missing",
            f"{what} needs {module}, which cannot be imported here ({error}): "
            f"pip install 'steelyard[{_EXTRAS[module.partition('.')[0]]}]'",
        ) from error
