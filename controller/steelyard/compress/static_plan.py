"""What static int8 of an ONNX model follows from, but for the method that chooses the ranges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.calibrators.method_choice import (
    TRIED_SAMPLE_COUNT,
    MethodChoice,
    choose_method,
    stretched_count,
)
from steelyard.compress.calibrators.range_settings import ENTROPY, MINMAX, MOVING_AVERAGE, RangeSettings
from steelyard.compress.calibrators.ranges import Observed, calibrated_ranges
from steelyard.compress.contract import Progress
from steelyard.compress.noise import Reference, Runs
from steelyard.compress.qdq.running import Runner
from steelyard.compress.static_quantizer import WIDE_TYPES, Grid, quantize

if TYPE_CHECKING:
    from onnx import NodeProto

TRIED_METHODS = (MINMAX, MOVING_AVERAGE, ENTROPY)
_NARROW_LEVELS, _WIDE_LEVELS = 256, 65_536
_SHOWN_NODES = 5
_UNBOUNDED = "their values were infinite, NaN or beyond 1e30 in calibration"
_CUT_OFF = "their biases are beyond 32 bits at the scale of their weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticPlan:
    """A folded model, what was seen of its activations, and where they go.

    ``excluded`` names the nodes that stay in float, ``wide`` the tensors that get 16 bits; ``percentile`` is of the
    method of that name.
    """

    folded_path: Path
    data: CalibrationData
    observed: Observed
    grid: Grid
    op_types: frozenset[str]
    excluded: frozenset[str]
    wide: frozenset[str]
    percentile: float
    progress: Progress

    def write(self, method: str, out_path: Path) -> tuple[str, ...]:
        """Write the model with ranges by ``method``, and return notes on what had to stay in float.

        Raises:
            CompressionInputError, CompressionError: the model cannot be run or quantized.
        """
        settings = RangeSettings(
            method=method,
            percentile=self.percentile,
            levels=_WIDE_LEVELS if self.grid.activation_type in WIDE_TYPES else _NARROW_LEVELS,
            symmetric=self.grid.symmetric,
        )
        ranges = calibrated_ranges(self.observed, self.data, settings, progress=self.progress)
        floating = self._touching(frozenset(self.observed.names) - ranges.keys())
        write = partial(
            quantize,
            self.folded_path,
            out_path,
            ranges,
            grid=self.grid,
            op_types=self.op_types,
            wide=self.wide & ranges.keys(),
        )
        cut_off = write(excluded=self.excluded | floating)
        if cut_off:
            write(excluded=self.excluded | floating | cut_off)
        return (
            *_floating_notes(floating - self.excluded, _UNBOUNDED),
            *_floating_notes(cut_off, _CUT_OFF),
        )

    def method_choice(self, tried_path: Path) -> MethodChoice:
        """Return the method that suits the model; where others than the extremes are tried, by files of that name.

        Raises:
            CompressionInputError, CompressionError: the model cannot be run or quantized.
        """
        import onnx

        count = stretched_count(
            (one.largest - one.smallest, one.average_largest - one.average_smallest)
            for one in self.observed.extremes.values()
        )
        if not count:
            return MethodChoice(method=MINMAX)

        def quantized(method: str) -> Runs:
            self.write(method, tried_path)
            return Runner(onnx.load_model(tried_path), as_deployed=True)

        exact = Runner(onnx.load_model(self.folded_path), as_deployed=True)
        return choose_method(
            TRIED_METHODS,
            quantized,
            Reference(exact, self.data, TRIED_SAMPLE_COUNT),
            stretched=count,
            progress=self.progress,
        )

    def _touching(self, names: frozenset[str]) -> frozenset[str]:
        nodes: Iterable[NodeProto] = self.observed.model.graph.node
        return frozenset(
            node.name for node in nodes if node.op_type in self.op_types and names & {*node.input, *node.output}
        )


def _floating_notes(names: Iterable[str], why: str) -> tuple[str, ...]:
    found = sorted(names)
    if not found:
        return ()
    shown = ", ".join(found[:_SHOWN_NODES]) + (" and more" if len(found) > _SHOWN_NODES else "")
    return (f"{len(found)} operators stay in float, since {why}: {shown}",)
