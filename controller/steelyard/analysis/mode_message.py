"""What a plan's mode adds to the message of a variant: its figures, the curve with what the heat did, the responses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steelyard.analysis.mode_figures import steps_at
from steelyard.analysis.variant_rounds import VariantRounds
from steelyard.analysis.wire import estimate_message
from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.formatting import format_estimate
from steelyard.stats.percentiles import pooled_quantiles
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2

# Where the figures of every mode stand in the message, by metric; each says why it is not there.
_ALWAYS = {"throughput": "throughput", "busy_cores": "busy_cores"}
# Those that only one mode has; elsewhere the fields are unset.
_OF_MODE = {
    plan_pb2.MODE_PACED: {
        "response_p50": "p50_response",
        "response_p90": "p90_response",
        "response_p99": "p99_response",
        "missed": "missed",
    },
    plan_pb2.MODE_SUSTAINED: {
        "curve_start": "curve_start",
        "curve_end": "curve_end",
        "slowdown": "curve_slowdown",
    },
    plan_pb2.MODE_STEPWISE: {"first_step": "first_step"},
}
_PROCESSING = {"preprocessing": "preprocessing", "postprocessing": "postprocessing"}


def add_mode_figures(
    message: measurement_pb2.VariantMeasurement, rounds: VariantRounds, plan: plan_pb2.Plan, confidence: float
) -> None:
    """Add what the rounds say in the plan's mode; figures over rounds at ``confidence``."""
    fields = _ALWAYS | _OF_MODE.get(plan.mode.mode, {}) | (_PROCESSING if plan.HasField("processing") else {})
    for metric, field in fields.items():
        estimate = rounds.estimate(metric, size_bytes=0, confidence=confidence)
        getattr(message, field).CopyFrom(estimate_message(estimate))
    for count in plan.mode.step_counts:
        total, per_step = _steps(rounds, count, confidence)
        message.steps.add(step_count=count, total=estimate_message(total), per_step=estimate_message(per_step))
    if rounds.emulated_by or not rounds.timed:
        return
    blocks = [timed.block for timed in rounds.timed]
    responses = [np.asarray(one.response_ns, dtype=np.int64) for one in blocks if one.response_ns]
    message.response_quantiles_ns.extend(float(one) for one in pooled_quantiles(responses))
    message.curve.extend(blocks[-1].curve)
    if message.curve:
        slowdown = rounds.estimate("slowdown", size_bytes=0, confidence=confidence)
        message.notes.append(heat_note(blocks[-1], slowdown))


def _steps(rounds: VariantRounds, count: int, confidence: float) -> tuple[Estimate, Estimate]:
    nothing = rounds.primary_time(confidence)
    if nothing.value is None:
        # Emulated, failed, or without sequences: there is one reason for all of them.
        missing = unknown("ns", nothing.reason, confidence=confidence)
        return missing, missing
    return steps_at([timed.block for timed in rounds.timed], count, confidence)


def heat_note(block: result_pb2.BlockResult, slowdown: Estimate) -> str:
    """Return one sentence: how much slower a curve ends than it began, and what temperature and clock did meanwhile.

    ``block`` has the curve that is shown, ``slowdown`` is over all curves.
    """
    share = "unknown" if slowdown.value is None else f"{abs(100 * slowdown.value):.1f} %"
    word = "slower" if (slowdown.value or 0.0) >= 0.0 else "faster"
    over = "" if not slowdown.has_interval else f" ({format_estimate(slowdown).partition(' (')[2].rstrip(')')} %)"
    said = f"the last quarter of the curve is {share} {word} than the first{over}"
    heat = _ends("from {:.1f} to {:.1f} C", [one.temperature_c for one in block.curve if one.HasField("temperature_c")])
    clock = _ends(
        "from {:.2f} to {:.2f} GHz", [one.frequency_hz / 1e9 for one in block.curve if one.HasField("frequency_hz")]
    )
    facts = [
        f"temperature went {heat}" if heat else "temperature was not read",
        f"clock {clock}" if clock else "the clock was not read",
    ]
    throttled = block.throttle.verdict == result_pb2.THROTTLE_VERDICT_YES
    evidence = "; ".join(block.throttle.evidence) if throttled else ""
    return f"{said}; {', '.join(facts)}" + (f"; it throttled: {evidence}" if throttled else "")


def _ends(words: str, values: Sequence[float]) -> str:
    return words.format(values[0], values[-1]) if values else ""
