"""Run one step on a model of either format: a step's own ``apply`` is for ONNX, TFLite has functions by kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steelyard.compress.contract import ONNX, TFLITE, Step, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError

TfliteFunction = Callable[[Any, Path, Path, StepContext], StepReport]


def apply_step(step: Step, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write what ``step`` makes of a model to ``out_path``.

    Raises:
        CompressionInputError: the step does not work on this format, or the model does not suit it.
        CompressionError: the tool failed.
    """
    if context.model_format not in step.formats:
        known = " and ".join(sorted(step.formats))
        raise CompressionInputError(
            "unsupported_format",
            f"{step.kind} works on {known} models, and this one is {context.model_format}; give another export of it",
        )
    if context.model_format == TFLITE and ONNX in step.formats:
        return _tflite_function(step.kind)(step, model_path, out_path, context)
    return step.apply(model_path, out_path, context)


def _tflite_function(kind: str) -> TfliteFunction:
    from steelyard.compress.tflite.registry import TFLITE_FUNCTIONS

    module, _, name = TFLITE_FUNCTIONS[kind].partition(":")
    found: TfliteFunction = getattr(importlib.import_module(module), name)
    return found
