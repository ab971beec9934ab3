"""From the wire to the worker: the mode of a plan, and what it declares around the model."""

from __future__ import annotations

import json

from steelyard_agent.worker import modes
from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.processing_spec import Processing
from steelyard_protocol.v1 import plan_pb2

_MODES = {
    plan_pb2.MODE_UNSPECIFIED: modes.SINGLE_STREAM,
    plan_pb2.MODE_SINGLE_STREAM: modes.SINGLE_STREAM,
    plan_pb2.MODE_OFFLINE: modes.OFFLINE,
    plan_pb2.MODE_PACED: modes.PACED,
    plan_pb2.MODE_MULTI_STREAM: modes.MULTI_STREAM,
    plan_pb2.MODE_SUSTAINED: modes.SUSTAINED,
    plan_pb2.MODE_STEPWISE: modes.STEPWISE,
}
# The operations of a task that this agent can do; a list of them is one value or one a channel.
_LISTS = ("mean", "std")
_OPERATIONS = ("divide", *_LISTS, "layout")
_LONGEST_JSON = 64 * 1024


def planned_mode(spec: plan_pb2.ModeSpec) -> Mode:
    """Return the mode that a plan asks for.

    Raises:
        ValueError: one sentence that names what makes no sense.
    """
    if spec.mode not in _MODES:
        raise ValueError(f"mode {spec.mode} is none that this agent knows; update it")
    return Mode(
        name=_MODES[spec.mode],
        rate_hz=spec.rate_hz,
        random_arrivals=spec.random_arrivals,
        stream_count=spec.stream_count,
        duration_ms=spec.duration_ms,
        point_ms=spec.point_ms,
        step_counts=tuple(spec.step_counts),
        state_outputs=dict(spec.state_outputs),
    )


def planned_silence_ms(plan: plan_pb2.Plan) -> int:
    """Return how long a timed block of a plan, which was checked, gives no sign although it fares well."""
    timing = plan.timing
    return planned_mode(plan.mode).silence_ms(
        timing.sample_window_ms, timing.min_sample_count or Timing().min_sample_count
    )


def planned_processing(spec: plan_pb2.ProcessingSpec) -> Processing:
    """Return what a plan declares around the model; its reducer is the block's.

    Raises:
        ValueError: one sentence that names what makes no sense.
    """
    reduces = spec.reducer != plan_pb2.REDUCER_UNSPECIFIED
    if not spec.preprocessing_json:
        return Processing(reduces=reduces)
    operations = _operations(spec.preprocessing_json)
    if not spec.stored_dtype:
        raise ValueError("preprocessing_json comes without stored_dtype")
    layout = operations.get("layout", "")
    if not isinstance(layout, str):
        raise _wrong("layout", layout, "text")
    return Processing(
        stored_dtype=spec.stored_dtype,
        stored_shape=tuple(spec.stored_shape.sizes),
        divide=_number("divide", operations.get("divide", 1.0)),
        mean=_numbers("mean", operations.get("mean", [0.0])),
        std=_numbers("std", operations.get("std", [1.0])),
        layout=layout,
        reduces=reduces,
    )


def _operations(text: str) -> dict[str, object]:
    if len(text) > _LONGEST_JSON:
        raise ValueError(f"preprocessing_json has {len(text)} characters")
    try:
        operations = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"preprocessing_json is no JSON ({str(error)[:80]})") from error
    if not isinstance(operations, dict):
        raise _wrong("operations", operations, "an object")
    if unknown := sorted(set(operations) - set(_OPERATIONS)):
        raise ValueError(f"preprocessing has the operation {unknown[0][:40]!r}, which this agent cannot do; update it")
    return operations


def _numbers(name: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise _wrong(name, value, "a list of numbers")
    return tuple(_number(name, one) for one in value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(name, value, "a number")
    try:
        return float(value)
    except OverflowError as error:
        # JSON has whole numbers without end.
        raise _wrong(name, value, "a number that a float can hold") from error


def _wrong(name: str, value: object, expected: str) -> ValueError:
    return ValueError(f"preprocessing has {name} {str(value)[:40]!r}, which is not {expected}")
