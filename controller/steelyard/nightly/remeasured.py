"""Measured again by itself, where nothing of the last good night can be put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.nightly.cell_values import cell_values
from steelyard.series.judgements import Candidate, ConfirmationKind, ConfirmationOutcome, Side
from steelyard.series.metric_rules import MetricKind, MetricRule
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2


def judge_again(
    measurement: measurement_pb2.Measurement, candidates: Sequence[Candidate], rules: Mapping[str, MetricRule]
) -> dict[str, ConfirmationOutcome | str]:
    """Return what a second measurement of the same night says of each candidate.

    Without a reference beside it a change cannot be confirmed: it is not reproduced where the second measurement is
    within the least effect of the nights before, and otherwise stays what it is, suspected, with the second figure.
    """
    metric = measurement.metric if measurement.HasField("metric") else None
    values = cell_values(measurement.variants[0], metric, mac_count=None)
    told: dict[str, ConfirmationOutcome | str] = {}
    for one in candidates:
        rule = rules.get(one.key.metric)
        if rule is None:
            continue
        value = values.get(rule.metric)
        if value is None or value.value is None or one.before is None:
            why = value.reason if value is not None and value.reason else f"{rule.metric} was not told this time"
            told[rule.metric] = f"measured again, without a figure: {why}"
        elif _is_back(one, value.value, rule):
            told[rule.metric] = _back(one, value.value, value.rounds, rule)
        else:
            told[rule.metric] = (
                f"measured again tonight it is {format_value(value.value, rule.unit)}, "
                f"{format_value(one.before, rule.unit)} before"
            )
    return told


def _is_back(candidate: Candidate, value: float, rule: MetricRule) -> bool:
    assert candidate.before is not None, "told apart by the caller"
    change = value - candidate.before
    if candidate.side is not Side.CHANGED:
        # The other way is no change of this candidate's kind.
        sign = rule.worse_sign if candidate.side is Side.WORSE else -rule.worse_sign
        change *= sign
    if rule.kind is MetricKind.ACCURACY:
        return change < rule.minimum_effect_abs
    return change < rule.minimum_effect_abs or change < rule.minimum_effect * candidate.before


def _back(candidate: Candidate, value: float, rounds: int, rule: MetricRule) -> ConfirmationOutcome:
    assert candidate.before is not None, "told apart by the caller"
    is_share = rule.kind is MetricKind.ACCURACY
    return ConfirmationOutcome(
        kind=ConfirmationKind.NOT_REPRODUCED,
        reason=(
            f"measured again tonight it is {format_value(value, rule.unit)}, as before "
            f"({format_value(candidate.before, rule.unit)})"
        ),
        ratio=100.0 * (value - candidate.before) if is_share else value / candidate.before,
        unit="pp" if is_share else "ratio",
        before=candidate.before,
        after=value,
        round_count=rounds,
    )
