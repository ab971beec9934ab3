"""Requirements that a measurement can never decide are refused before anything runs."""

from __future__ import annotations

from steelyard.analysis.scoring import described, metric_of
from steelyard.errors import UsageError
from steelyard.stats.requirements import METRICS, parse_requirement, required_name
from steelyard.tasks.metrics.registry import all_metric_kinds
from steelyard_protocol.v1 import control_pb2, plan_pb2

_SCORES = frozenset({"accuracy", "drop"})
_PAIRED = frozenset({"drop", "speedup"})
_RESPONSES = frozenset({"response_p50", "response_p90", "response_p99"})
_STEPS = frozenset({"first_step", "per_step"})


def check_requirements(request: control_pb2.SubmitMeasurementRequest, task: control_pb2.Task | None) -> None:
    """Refuse requirements on what the task, the models or the mode of a request do not measure.

    Raises:
        UsageError: one is no requirement, or cannot be decided; the sentence says what to change.
        TaskError: the task's metric is not known here.
    """
    for text in request.requirements:
        _check_score(text, task)
        metric = parse_requirement(text, None if task is None else described(metric_of(task))).metric
        if metric in _PAIRED and len(request.plan.artifacts) == 1:
            raise UsageError(
                "requirement_needs_reference",
                f"{text!r} compares with the first model, and there is only one: name the original first",
            )
        _check_mode(text, metric, request.plan.mode.mode)


def _check_score(text: str, task: control_pb2.Task | None) -> None:
    """Refuse a requirement on a score that the task does not give."""
    name = required_name(text)
    if name not in {*_SCORES, *all_metric_kinds()} - (METRICS.keys() - _SCORES):
        return
    if task is None:
        raise UsageError(
            "requirement_needs_task", f"{text!r} needs labelled data: name it with --task FILE (.toml or .npz)"
        )
    found = metric_of(task)
    score = described(found)
    measured = {score.kind, "drop", *(["accuracy"] if score.is_accuracy else [])}
    if name not in measured:
        raise UsageError(
            "requirement_needs_metric",
            f"{text!r}: task {task.name!r} measures {score.kind} ({score.label}), not {name}: require "
            f"'{score.example}', or change [metric] in the task",
        )
    if name == "drop" and found.needs_parent_outputs and score.unit != "fraction":
        raise UsageError(
            "requirement_needs_metric",
            f"{text!r}: {score.kind} is held against the first model's outputs already: require '{score.example}'",
        )


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
