"""What the models of a recipe took on a device, as cells of a table and as a sentence."""

from __future__ import annotations

from rich.text import Text

from steelyard.report.figures import is_known, one_line
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import control_pb2

_SHORT_JOB = 12


def parent_times(lineage: control_pb2.Lineage) -> tuple[Text, Text]:
    """Return the cells of a recipe's first model: its p50 as the last measurement had it, and nothing to compare."""
    known = [step.latency.parent_p50 for step in lineage.steps if is_known(step.latency.parent_p50)]
    return (Text(format_value(known[-1].value, "ns") if known else ""), Text(""))


def times_of(latency: control_pb2.StepLatency) -> tuple[Text, Text]:
    """Return the cells of what a step made: its p50, and how many times as fast as the first model it is."""
    if not latency.device:
        return (Text(""), Text(""))
    p50 = format_value(latency.p50.value, "ns") if is_known(latency.p50) else "not known"
    return (Text(p50), Text(speed_text(latency)))


def speed_text(latency: control_pb2.StepLatency) -> str:
    """Return how many times as fast as the recipe's first model a model is, "" where that is not known."""
    return format_value(latency.speedup.value, "ratio") if is_known(latency.speedup) else ""


def latency_text(latency: control_pb2.StepLatency) -> str:
    """Return a sentence with the intervals, or why there is no latency."""
    if latency.reason:
        return f"its latency on {latency.device} is not known: {latency.reason}"
    speed = f"{one_line(latency.speedup)} as fast as the model"
    rounds = f"over {latency.speedup.observation_count} rounds (job {latency.job_id[:_SHORT_JOB]})"
    return f"p50 {one_line(latency.p50)} on {latency.device}, {speed} {rounds}"
