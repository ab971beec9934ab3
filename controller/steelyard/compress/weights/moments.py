"""Second moments of the inputs of layers, added up over calibration samples a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.contract import StepContext
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.sessions import batch_size, check_calibration, open_session, run_bounded
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from onnx import ModelProto

Square = NDArray[np.float64]
# Moments of one pass over the data; more layers than fit here take more passes. 4,096 inputs are 128 MiB.
MOMENT_BYTES = 512 * 1024 * 1024
_SAMPLES_AT_ONCE = 8


def required_calibration(context: StepContext, what: str) -> CalibrationData:
    """Return the calibration data.

    Raises:
        CompressionInputError: no_calibration_data, naming ``what`` needs it.
    """
    if context.calibration is None:
        raise CompressionInputError(
            "no_calibration_data", f"{what} needs calibration data; give a task with a calibration split"
        )
    return context.calibration


def stream_moments(
    model: ModelProto, widths: Mapping[str, int], channel_axes: Mapping[str, int], context: StepContext, *, what: str
) -> Iterator[tuple[str, Square]]:
    """Yield the name and X^T X [inputs, inputs] of values of the main graph, over all calibration samples.

    Args:
        model: where the values are computed; it is not changed.
        widths: number of inputs by name of the value.
        channel_axes: the axis of the inputs in each value; all others are counted as samples.
        context: its calibration data is read once for each group of values that fits ``MOMENT_BYTES``.
        what: who needs it, for errors.

    Raises:
        CompressionInputError: no calibration data, or data that does not fit the model.
        CompressionError: onnxruntime cannot run the model.
    """
    data = required_calibration(context, what)
    groups = list(_groups(widths))
    for number, names in enumerate(groups, start=1):
        path = context.work_dir / "observed.onnx"
        _write_observed(model, names, path)
        part = f", part {number} of {len(groups)}" if len(groups) > 1 else ""
        session = open_session(path)
        check_calibration(session, data)
        totals = {name: np.zeros((widths[name], widths[name])) for name in names}
        for values, done in _batches(session, names, data):
            for name, value in values.items():
                rows = np.moveaxis(value, channel_axes[name], -1).reshape(-1, widths[name]).astype(np.float32)
                totals[name] += rows.T @ rows
            context.progress(f"observing the inputs of layers{part}", done, data.sample_count)
        path.unlink()
        yield from totals.items()


def _groups(widths: Mapping[str, int]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for name, width in widths.items():
        needed = width * width * 8
        if group and size + needed > MOMENT_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += needed
    if group:
        yield group


def _write_observed(model: ModelProto, names: Sequence[str], path: Path) -> None:
    import onnx

    known = {value.name for value in (*model.graph.output, *model.graph.input)}
    kept_count = len(model.graph.output)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    try:
        with tool_errors("observing the inputs of layers"):
            onnx.save_model(model, path)
    finally:
        del model.graph.output[kept_count:]


def _batches(
    session: Any, names: Sequence[str], data: CalibrationData
) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """Yield the named values of each batch, and the samples done; a last partial batch is filled from before it."""
    fixed = batch_size(session)
    at_once = fixed if fixed > 1 or _has_fixed_batch(session) else min(_SAMPLES_AT_ONCE, data.sample_count)
    if data.sample_count < at_once:
        raise CompressionInputError(
            "invalid_calibration",
            f"the model takes batches of {at_once} and the calibration data has {data.sample_count} samples; add samples",
        )
    given = [spec.name for spec in session.get_outputs()]
    for start in range(0, data.sample_count, at_once):
        stop = min(start + at_once, data.sample_count)
        feed = data.feed(max(0, stop - at_once), stop)
        outputs = dict(zip(given, run_bounded(session, feed), strict=True))
        yield {name: outputs[name] if name in outputs else feed[name] for name in names}, stop


def _has_fixed_batch(session: Any) -> bool:
    return any(spec.shape and isinstance(spec.shape[0], int) for spec in session.get_inputs())
