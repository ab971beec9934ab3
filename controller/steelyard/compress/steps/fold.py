"""Folding as a step of its own: a smaller float model that computes the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.folding import fold
from steelyard.compress.model_form import op_counts
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_boolean, require_count
from steelyard.compress.slimming import slim
from steelyard.compress.tools import tool_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Infer shapes, fold constants and BatchNorm, and name every node; quantizers do so too before they begin.

    ``min_opset`` converts models of an older opset (0: leaves it). ``slim`` lets onnxslim take out more; what it makes
    is kept only where its outputs agree with the model's.
    """

    kind: ClassVar[str] = "fold"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = False

    min_opset: int = 0
    slim: bool = False

    def __post_init__(self) -> None:
        """Refuse settings of another type."""
        require_count(self.kind, "min_opset", self.min_opset, least=0)
        require_boolean(self.kind, "slim", self.slim)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the folded model.

        Raises:
            CompressionError: the model cannot be converted or optimized.
        """
        import onnx

        context.progress("folding constants", 0, 1)
        fold(model_path, out_path, min_opset=self.min_opset)
        notes: tuple[str, ...] = ()
        if self.slim:
            notes = slim(out_path, work_dir=context.work_dir, seed=context.seed)
        before, after = (op_counts(onnx.load_model(path)) for path in (model_path, out_path))
        note = (
            f"{after.total()} of {before.total()} operators remain, and {after['BatchNormalization']} of "
            f"{before['BatchNormalization']} BatchNormalization"
        )
        context.progress("folding constants", 1, 1)
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnxruntime", "onnx", *(("onnxslim",) if self.slim else ())),
            notes=(note, *notes),
        )
