"""Weights and activations in float16."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT16, FLOAT32, ONNX, TFLITE, StepContext, StepReport
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_boolean
from steelyard.compress.tools import tool_errors, tool_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Float16:
    """Convert to float16; ``keep_io_types`` leaves inputs and outputs in float32, with casts inside."""

    kind: ClassVar[str] = "float16"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = FLOAT16
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    keep_io_types: bool = True

    def __post_init__(self) -> None:
        """Refuse settings of another type."""
        require_boolean(self.kind, "keep_io_types", self.keep_io_types)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the float16 model; weights beyond 65,504 become the largest that float16 holds.

        Activations may still overflow on a device with float16 arithmetic: onnxruntime computes float16 operators in
        float32 on x86, so the check of the variant there cannot see it; accuracy is measured on the device.

        Raises:
            CompressionError: the converter failed.
        """
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel

        context.progress("converting to float16", 0, 1)
        with tool_errors("converting to float16"):
            converted = convert_float_to_float16(onnx.load_model(model_path), keep_io_types=self.keep_io_types)
            # The converter appends its casts at the end: runtimes forgive that, the standard and its checker do not.
            OnnxModel.graph_topological_sort(converted.graph)
            onnx.save_model(converted, out_path)
        context.progress("converting to float16", 1, 1)
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnxruntime", "onnx"),
            notes=("float16 halves the file; a processor without float16 arithmetic may run it slower than float32",),
        )
