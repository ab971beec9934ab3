"""The facts of a model, from its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from steelyard.advice.facts import ModelFacts
from steelyard.artifact_formats.onnx_file import parse_onnx
from steelyard.compress.contract import TFLITE
from steelyard.compress.registry import step_class, step_kinds
from steelyard.layers.read import read_layers


def read_model(
    path: Path, *, name: str, model_format: str, input_shapes: Mapping[str, Sequence[int]] | None = None
) -> ModelFacts:
    """Return the facts of a model file, of which nothing is run.

    Args:
        path: an ONNX or TFLite file.
        name: what to call it.
        model_format: "onnx" or "tflite".
        input_shapes: sizes of dynamic inputs by name.

    Raises:
        InvalidModelError: the file is no model.
        UsageError: a size was given for an input that the model does not have.
    """
    return ModelFacts(
        name=name,
        model_format=model_format,
        form=_form(path, model_format),
        size_bytes=path.stat().st_size,
        table=read_layers(path, input_shapes=input_shapes),
    )


def steps_for(model_format: str) -> frozenset[str]:
    """Return the kinds of steps that work on a format."""
    return frozenset(kind for kind in step_kinds() if model_format in step_class(kind).formats)


def _form(path: Path, model_format: str) -> str:
    if model_format == TFLITE:
        from steelyard.compress.tflite.model_form import numeric_form as tflite_form

        return tflite_form(path)
    from steelyard.compress.model_form import numeric_form

    return numeric_form(parse_onnx(path, path.read_bytes()))
