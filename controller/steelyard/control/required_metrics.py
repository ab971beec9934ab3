"""Requirements that a measurement can never decide are refused before anything runs."""

from __future__ import annotations

from steelyard.errors import UsageError
from steelyard.stats.requirements import parse_requirement
from steelyard_protocol.v1 import control_pb2, plan_pb2

_ACCURACY = frozenset({"accuracy", "drop"})
_PAIRED = frozenset({"drop", "speedup"})
_RESPONSES = frozenset({"response_p50", "response_p90", "response_p99"})
_STEPS = frozenset({"first_step", "per_step"})


def check_requirements(request: control_pb2.SubmitMeasurementRequest) -> None:
    """Refuse requirements on what the task, the models or the mode of a request do not measure.

    Raises:
        UsageError: one is no requirement, or cannot be decided; the sentence says what to change.
    """
    for text in request.requirements:
        metric = parse_requirement(text).metric
        if metric in _ACCURACY and not request.task_id:
            raise UsageError(
                "requirement_needs_task", f"{text!r} needs labelled data: name it with --task FILE (.toml or .npz)"
            )
        if metric in _PAIRED and len(request.plan.artifacts) == 1:
            raise UsageError(
                "requirement_needs_reference",
                f"{text!r} compares with the first model, and there is only one: name the original first",
            )
        _check_mode(text, metric, request.plan.mode.mode)


def _check_mode(text: str, metric: str, mode: plan_pb2.Mode.ValueType) -> None:
    if metric in _RESPONSES and mode != plan_pb2.MODE_PACED:
        _refuse(text, "response times", "paced", mode, f"require {metric.removeprefix('response_')} instead")
    if metric in _STEPS and mode != plan_pb2.MODE_STEPWISE:
        _refuse(text, "single steps", "stepwise", mode, "require p50 instead")


def _refuse(text: str, what: str, needed: str, mode: plan_pb2.Mode.ValueType, instead: str) -> None:
    raise UsageError(
        "requirement_needs_mode",
        f"{text!r}: {what} are measured in {needed} mode only, and this one is {_word(mode)}: measure in "
        f"that mode, or {instead}",
    )


def _word(mode: plan_pb2.Mode.ValueType) -> str:
    if mode == plan_pb2.MODE_UNSPECIFIED:
        return "single stream"
    return plan_pb2.Mode.Name(mode).removeprefix("MODE_").lower().replace("_", " ")
