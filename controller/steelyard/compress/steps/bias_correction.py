"""Bias correction: what quantization adds to the mean of each channel is taken off its bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import INT8, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.qdq.bias import shift_bias, takes_bias
from steelyard.compress.qdq.graph import QdqGraph, Unit
from steelyard.compress.qdq.pairing import pair_of
from steelyard.compress.qdq.pruning import exposed
from steelyard.compress.qdq.running import Runner, feeds, required_calibration
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_choice, require_count
from steelyard.compress.tools import tool_versions

_ORDERS = ("sequential", "at-once")


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasCorrection:
    """Empirical bias correction (Nagel et al. 2019, "Data-Free Quantization", section 4.2 and appendix D).

    ``order`` "sequential" corrects layer by layer, each seeing the corrected ones before it, at one pass over the
    samples a layer; "at-once" measures all layers in one pass.
    """

    kind: ClassVar[str] = "bias-correction"
    needs_calibration: ClassVar[bool] = True
    accepts: ClassVar[frozenset[str]] = frozenset({INT8})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = True

    order: str = "sequential"
    sample_count: int = 64

    def __post_init__(self) -> None:
        """Refuse settings of another type or without a meaning."""
        require_choice(self.kind, "order", self.order, _ORDERS)
        require_count(self.kind, "sample_count", self.sample_count)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with shifted biases; memory holds one batch of activations at a time.

        Raises:
            CompressionInputError: no calibration data, no float ancestor, or no quantized layers.
            CompressionError: the model cannot be run.
        """
        import onnx

        data = required_calibration(self.kind, context)
        graph = pair_of(model_path, context, kind=self.kind)
        units = [unit for unit in graph.layers if takes_bias(graph, unit)]
        expected = _means(Runner(exposed(graph.float_model, _float_outputs(units))), data, self.sample_count, units)
        groups = [[unit] for unit in units] if self.order == "sequential" else [units]
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        shifts = []
        for number, group in enumerate(groups):
            context.progress("correcting biases", number, len(groups))
            outputs = [unit.node.output[0] for unit in group]
            given = _means(Runner(exposed(model, outputs)), data, self.sample_count, group)
            for unit in group:
                shift = expected[unit.name] - given[unit.name]
                shift_bias(graph, model, unit, shift)
                shifts.append(_relative(shift, expected[unit.name]))
        context.progress("correcting biases", len(groups), len(groups))
        onnx.save_model(model, out_path)
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnxruntime", "onnx", "numpy"),
            notes=_notes(graph, units, shifts),
        )


def _means(
    runner: Runner, data: CalibrationData, sample_count: int, units: Sequence[Unit]
) -> dict[str, NDArray[np.float64]]:
    """Return the mean of each channel [C] of the outputs of layers, over samples and positions."""
    sums: list[Any] = [0.0] * len(units)
    count = 0
    for feed in feeds(data, runner.batch_size, sample_count):
        count += 1
        for index, values in enumerate(runner.run(feed)):
            axes = (0, *range(2, values.ndim))
            sums[index] = sums[index] + values.mean(axis=axes, dtype=np.float64)
    return {unit.name: np.asarray(total / count) for unit, total in zip(units, sums, strict=True)}


def _float_outputs(units: Sequence[Unit]) -> list[str]:
    return [unit.float_node.output[0] for unit in units]


def _relative(shift: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.linalg.norm(shift) / max(float(np.linalg.norm(expected)), 1e-12))


def _notes(graph: QdqGraph, units: Sequence[Unit], shifts: Sequence[float]) -> tuple[str, ...]:
    notes = []
    if units:
        largest = int(np.argmax(shifts))
        notes.append(
            f"the biases of {len(units)} layers were shifted, most in {units[largest].name!r}: by "
            f"{shifts[largest]:.1%} of its channel means"
        )
    left = len(graph.layers) - len(units)
    if left:
        notes.append(f"{left} layers have no bias that could take a correction and were left as they were")
    return tuple(notes)
