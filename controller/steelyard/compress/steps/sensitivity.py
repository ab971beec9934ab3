"""Sensitivity: what each quantized operator costs; the model stays as it is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.calibration import required_calibration
from steelyard.compress.contract import INT8, ONNX, SAME_FORM, TFLITE, StepContext, StepReport
from steelyard.compress.qdq.parts import parts_of
from steelyard.compress.recipe import step_settings
from steelyard.compress.sensitivity import PartlyQuantized
from steelyard.compress.sensitivity_report import REPORT_KEY, SENSITIVITY
from steelyard.compress.sensitivity_reporting import report_on
from steelyard.compress.settings import require_count
from steelyard.compress.tools import tool_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSensitivity:
    """Rank quantized operators by the noise that each alone puts into the outputs, and change nothing.

    ``sample_count`` calibration samples are run for each operator. Where a task is given, the metric of the ``scored``
    most sensitive ones is evaluated, too, that of everything quantized, and that with the worst in float.
    """

    kind: ClassVar[str] = SENSITIVITY
    needs_calibration: ClassVar[bool] = True
    accepts: ClassVar[frozenset[str]] = frozenset({INT8})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = True

    sample_count: int = 64
    scored: int = 5

    def __post_init__(self) -> None:
        """Refuse settings of another type or without a meaning."""
        require_count(self.kind, "sample_count", self.sample_count)
        require_count(self.kind, "scored", self.scored, least=0)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model as it is; the report says what each operator costs.

        Raises:
            CompressionInputError: no calibration data, no float ancestor, or no quantized layers.
            CompressionError: a model cannot be run.
        """
        required_calibration(self.kind, context)
        parts = parts_of(model_path, context, kind=self.kind)
        return measured(self, parts, model_path, out_path, context, tools=("onnxruntime", "onnx", "numpy"))


def measured(
    step: MeasureSensitivity,
    parts: PartlyQuantized,
    model_path: Path,
    out_path: Path,
    context: StepContext,
    *,
    tools: tuple[str, ...],
) -> StepReport:
    """Copy the model and return the step's report on its parts; the same for every format."""
    data = required_calibration(step.kind, context)
    report = report_on(parts, data, sample_count=step.sample_count, scored=step.scored, context=context)
    shutil.copyfile(model_path, out_path)
    first = report.layers[0]
    note = (
        f"of {len(report.layers)} quantized operators {first.name!r} costs most: {first.noise_share:.0%} of the noise; "
        f"with {', '.join(report.kept)} in float {report.kept_sqnr_db:.1f} dB instead of {report.whole_sqnr_db:.1f} dB"
    )
    return StepReport(
        settings={**step_settings(step), REPORT_KEY: report.to_plain()},
        tool_versions=tool_versions(*tools),
        notes=(note,),
    )
