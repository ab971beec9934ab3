"""What earlier sessions of a device say about this one: figures kept of each, and how much they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from steelyard.analysis.variant_rounds import collect
from steelyard.stats.session_spread import SessionFigure, SessionSpread, session_spread
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2

# The figures that a session leaves behind: those whose interval earlier sessions widen.
FIGURES = ("p50", "p90", "p95", "p99")
Spreads = Mapping[str, Mapping[str, SessionSpread]]


def series_of(planned: plan_pb2.PlannedArtifact, mode: plan_pb2.ModeSpec) -> str:
    """Return the name of all sessions that measured this file in this way: a SHA-256, whatever it was labelled."""
    same = plan_pb2.PlannedArtifact()
    same.CopyFrom(planned)
    same.ClearField("label")
    same.ClearField("layers_digest")
    same.ClearField("layers_size_bytes")
    content = same.SerializeToString(deterministic=True) + b"|" + mode.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()


def session_figures(
    plan: plan_pb2.Plan, rounds: Sequence[result_pb2.RoundResult], job_id: str
) -> list[control_pb2.PastSession]:
    """Return what the rounds of one session leave behind; nothing where an artifact has no valid round."""
    ours = [one for one in rounds if one.job_id == job_id]
    variants = collect(ours, [one.label for one in plan.artifacts], mode=plan.mode)
    found = []
    for planned in plan.artifacts:
        for figure in FIGURES:
            value = variants[planned.label].estimate(figure, size_bytes=planned.size_bytes).value
            if value is not None and value > 0.0:
                series = series_of(planned, plan.mode)
                found.append(control_pb2.PastSession(job_id=job_id, series=series, figure=figure, value_ns=value))
    return found


def spreads_of(plan: plan_pb2.Plan, history: control_pb2.SessionHistory | None) -> Spreads:
    """Return by label and figure how much sessions differ; nothing where the history was not recorded."""
    if history is None:
        return {}
    by_figure = {
        figure: [
            SessionFigure(series=one.series, value=one.value_ns, generation=one.generation)
            for one in history.sessions
            if one.figure == figure
        ]
        for figure in FIGURES
    }
    return {
        planned.label: {
            figure: session_spread(sessions, series_of(planned, plan.mode)) for figure, sessions in by_figure.items()
        }
        for planned in plan.artifacts
    }


def spread_sentence(spreads: Spreads) -> str:
    """Return what a reader must know of intervals of latency, "" where the history was not recorded."""
    found = [spread["p50"] for spread in spreads.values()]
    if not found:
        return ""
    count, deviation = found[0].session_count, max(one.deviation for one in found)
    told = f"{count} earlier figures of it say" if count else "taken until its own sessions say more"
    return (
        f"sessions on this device differ by {deviation:.1%} in p50 ({told}); no interval of latency is narrower than "
        "that allows"
    )


def replacement_sentence(plan: plan_pb2.Plan, history: control_pb2.SessionHistory | None) -> str:
    """Return that a series goes on from a device whose place this one took, "" where none does."""
    if history is None or not history.replacements:
        return ""
    planned = {series_of(one, plan.mode) for one in plan.artifacts}
    generations = {one.generation for one in history.sessions if one.series in planned}
    if not any(generations):
        return ""
    last = history.replacements[0]
    day = last.at.ToDatetime().strftime("%Y-%m-%d")
    return (
        f"the device changed: it took the place of {last.old_device_name or 'another one'} on {day}, whose sessions go "
        "on here; a step between figures from before and after that day may be the device's"
    )
