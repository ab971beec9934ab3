"""Second moments of the inputs of layers, added up over calibration samples a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData, required_calibration
from steelyard.compress.contract import StepContext
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.sessions import batch_size, check_calibration, open_session, run_bounded
from steelyard.compress.tools import tool_errors
from steelyard.compress.weights.finding import Weight, WeightUse, attribute, input_axis
from steelyard.compress.weights.second_moment import SecondMoment

if TYPE_CHECKING:
    from onnx import ModelProto

# Moments of one pass over the data; layers beyond take more passes. 4,096 inputs are 128 MiB.
MOMENT_BYTES = 512 * 1024 * 1024
_SAMPLES_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observed:
    """A value that layers multiply with a weight: its inputs lie on ``axis``, everything else are samples."""

    name: str
    width: int
    axis: int

    @property
    def byte_count(self) -> int:
        return self.width * self.width * 8


def stream_moments(
    model: ModelProto, weights: Sequence[Weight], context: StepContext, *, what: str
) -> Iterator[tuple[Weight, SecondMoment | None]]:
    """Yield each weight with the second moment of what it is multiplied with, over all calibration samples.

    Matrix products, and convolutions with kernels of one element and one group, in the main graph; None for others. A
    weight that several layers read gets the sum. Moments are held for as many weights as ``MOMENT_BYTES`` allows; the
    data is read again for the next ones. ``what`` names who needs it, in errors; ``model`` is not changed.

    Raises:
        CompressionInputError: no calibration data, or data that does not fit the model.
        CompressionError: onnxruntime cannot run the model.
    """
    data = required_calibration(what, context)
    known: list[tuple[Weight, list[_Observed]]] = []
    for weight in weights:
        found = [one for use in weight.uses if (one := _observed(use, weight, model)) is not None]
        if weight.has_other_uses or len(found) < len(weight.uses):
            yield weight, None
        else:
            known.append((weight, found))
    passes = list(_passes(known))
    for number, some in enumerate(passes, start=1):
        part = f", part {number} of {len(passes)}" if len(passes) > 1 else ""
        totals = _totals(model, {one for _, found in some for one in found}, context, data, part)
        for weight, observed in some:
            yield weight, sum((totals[one] for one in observed[1:]), totals[observed[0]])


def _observed(use: WeightUse, weight: Weight, model: ModelProto) -> _Observed | None:
    node, dims = use.node, list(weight.tensor.dims)
    if use.graph is not model.graph or not use.is_weight:
        return None
    if node.op_type == "Conv":
        is_plain = all(size == 1 for size in dims[2:]) and attribute(node, "group", 1) == 1
        return _Observed(name=node.input[0], width=int(dims[1]), axis=1) if is_plain else None
    if len(dims) != 2 or use.input_index != 1 or node.op_type not in {"Gemm", "MatMul"}:
        return None
    axis = 0 if attribute(node, "transA", 0) else -1
    return _Observed(name=node.input[0], width=int(dims[input_axis(use, 2)]), axis=axis)


def _passes(
    known: Sequence[tuple[Weight, list[_Observed]]],
) -> Iterator[list[tuple[Weight, list[_Observed]]]]:
    some: list[tuple[Weight, list[_Observed]]] = []
    held: set[_Observed] = set()
    for weight, found in known:
        needed = held | set(found)
        if some and sum(one.byte_count for one in needed) > MOMENT_BYTES:
            yield some
            some, needed = [], set(found)
        some.append((weight, found))
        held = needed
    if some:
        yield some


def _totals(
    model: ModelProto, observed: set[_Observed], context: StepContext, data: CalibrationData, part: str
) -> dict[_Observed, SecondMoment]:
    path = context.work_dir / "observed.onnx"
    _write_observed(model, sorted({one.name for one in observed}), path)
    session = open_session(path)
    check_calibration(session, data)
    totals = {one: SecondMoment.empty(one.width) for one in observed}
    for values, done in _batches(session, data):
        for one, total in totals.items():
            rows = np.moveaxis(values[one.name], one.axis, -1).reshape(-1, one.width)
            total.add(rows.astype(np.float32))
        context.progress(f"observing the inputs of layers{part}", done, data.sample_count)
    path.unlink()
    return totals


def _write_observed(model: ModelProto, names: Sequence[str], path: Path) -> None:
    """Write the model with more outputs; the model itself stays as it is."""
    import onnx

    known = {value.name for value in (*model.graph.output, *model.graph.input)}
    kept_count = len(model.graph.output)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    try:
        with tool_errors("observing the inputs of layers"):
            onnx.save_model(model, path)
    finally:
        del model.graph.output[kept_count:]


def _batches(session: Any, data: CalibrationData) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """Yield inputs and outputs of each batch by name, and the samples done.

    A last batch of a fixed size is filled from the samples before it, which then count twice.
    """
    is_fixed = any(spec.shape and isinstance(spec.shape[0], int) for spec in session.get_inputs())
    at_once = data.batch(batch_size(session) if is_fixed else min(_SAMPLES_AT_ONCE, data.sample_count))
    if data.sample_count < at_once:
        raise CompressionInputError(
            "invalid_calibration",
            f"the model takes batches of {at_once} and the calibration data has {data.sample_count} samples; add "
            "samples",
        )
    given = [spec.name for spec in session.get_outputs()]
    for start in range(0, data.sample_count, at_once):
        stop = min(start + at_once, data.sample_count)
        feed = data.feed(stop - at_once if is_fixed else start, stop)
        yield {**feed, **dict(zip(given, run_bounded(session, feed), strict=True))}, stop
