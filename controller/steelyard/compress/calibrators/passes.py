"""Runs of a model over the calibration samples in which inner tensors are seen, one batch in memory.

The first pass reduces every tensor to its extremes inside of the graph. The second gives the tensors out, in groups of
a bounded number of bytes, and counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData, batches
from steelyard.compress.calibrators.histogram import Histogram
from steelyard.compress.calibrators.range_settings import AVERAGING_SHARE
from steelyard.compress.contract import Progress
from steelyard.compress.sessions import ONLY_ERRORS, batch_size, run_bounded
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from onnx import ModelProto

# Tensors that are given out of one run; larger ones go alone.
GROUP_BYTES = 128 * 1024**2
_PREFIX = "steelyard_observed"
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremes:
    """What the first pass saw of a tensor: extremes, their moving averages over batches, and its size in a batch."""

    smallest: float
    largest: float
    average_smallest: float
    average_largest: float
    value_count: int


def observe_extremes(
    model: ModelProto, names: Sequence[str], data: CalibrationData, progress: Progress
) -> Mapping[str, Extremes]:
    """Return the extremes of the named tensors over all samples; a tensor that is not finite has such an extreme.

    Raises:
        CompressionInputError: fewer samples than the model's batch, or a model that does not end.
        CompressionError: the model cannot be run.
    """
    if not names:
        return {}
    session = _session(_with_extremes(model, names))
    outputs = [spec.name for spec in session.get_outputs()]
    low = np.full(len(names), np.inf)
    high = np.full(len(names), -np.inf)
    averages, weight = np.zeros((2, len(names))), 0.0
    sizes = np.zeros(len(names), dtype=np.int64)
    for feed in batches(data, size=batch_size(session), progress=progress, what="calibrating"):
        seen = dict(zip(outputs, run_bounded(session, feed), strict=True))
        smallest, largest, counts = (
            np.array([seen[f"{_PREFIX}_{what}_{index}"] for index in range(len(names))])
            for what in ("min", "max", "size")
        )
        # fmin keeps the number of the two: NaN must be seen, so no fmin here.
        low, high = np.minimum(low, smallest), np.maximum(high, largest)
        with np.errstate(invalid="ignore"):  # infinities are seen by their extremes
            averages += AVERAGING_SHARE * (np.array([smallest, largest], dtype=np.float64) - averages)
        weight += AVERAGING_SHARE * (1.0 - weight)
        sizes = np.maximum(sizes, counts)
    return {
        name: Extremes(
            smallest=float(low[index]),
            largest=float(high[index]),
            # Divided by what all batches together weigh, so that it does not begin at 0.
            average_smallest=float(averages[0, index] / weight),
            average_largest=float(averages[1, index] / weight),
            value_count=int(sizes[index]),
        )
        for index, name in enumerate(names)
    }


def observe_histograms(
    model: ModelProto, extremes: Mapping[str, Extremes], data: CalibrationData, progress: Progress
) -> Mapping[str, Histogram]:
    """Return histograms of the named tensors over all samples, between extremes that are finite and not both 0.

    Raises:
        CompressionInputError, CompressionError: as ``observe_extremes``.
    """
    found: dict[str, Histogram] = {}
    groups = list(_groups(extremes))
    for number, group in enumerate(groups, start=1):
        histograms = {name: Histogram.empty(extremes[name].smallest, extremes[name].largest) for name in group}
        what = f"counting values, part {number} of {len(groups)}"
        for arrays in _observed(model, group, data, progress, what):
            histograms = {name: histogram.with_values(arrays[name]) for name, histogram in histograms.items()}
        found.update(histograms)
    return found


def _groups(extremes: Mapping[str, Extremes]) -> Iterator[tuple[str, ...]]:
    group: list[str] = []
    held_bytes = 0
    for name, seen in extremes.items():
        size_bytes = seen.value_count * _FLOAT_BYTES
        if group and held_bytes + size_bytes > GROUP_BYTES:
            yield tuple(group)
            group, held_bytes = [], 0
        group.append(name)
        held_bytes += size_bytes
    if group:
        yield tuple(group)


def _observed(
    model: ModelProto, names: Sequence[str], data: CalibrationData, progress: Progress, what: str
) -> Iterator[Mapping[str, NDArray[Any]]]:
    session = _session(_with_outputs(model, names))
    outputs = [spec.name for spec in session.get_outputs()]
    for feed in batches(data, size=batch_size(session), progress=progress, what=what):
        yield {**feed, **dict(zip(outputs, run_bounded(session, feed), strict=True))}


def _with_extremes(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Return the model with the extremes and the size of each tensor as its only outputs."""
    from onnx import TensorProto, helper

    observed = _copy(model)
    for index, name in enumerate(names):
        for what, op_type in (("min", "ReduceMin"), ("max", "ReduceMax")):
            output = f"{_PREFIX}_{what}_{index}"
            observed.graph.node.append(helper.make_node(op_type, [name], [output], name=output, keepdims=0))
            observed.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, []))
        output = f"{_PREFIX}_size_{index}"
        observed.graph.node.append(helper.make_node("Size", [name], [output], name=output))
        observed.graph.output.append(helper.make_tensor_value_info(output, TensorProto.INT64, []))
    return observed


def _with_outputs(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """Return the model with the named tensors as its only outputs; its inputs need not be given out."""
    from onnx import TensorProto, helper

    observed = _copy(model)
    inputs = {value.name for value in model.graph.input}
    for name in names:
        if name not in inputs:
            observed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    if not observed.graph.output:
        observed.graph.output.append(model.graph.output[0])
    return observed


def _copy(model: ModelProto) -> ModelProto:
    from onnx import ModelProto as Model

    copy = Model()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    return copy


def _session(model: ModelProto) -> Any:
    """Return a session that computes what the graph says: optimizations would take away what is to be seen."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ONLY_ERRORS
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with tool_errors("running the model for calibration"):
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
