"""What a gate fails on, as a person types it ("p50 > +3%"), and the rule that this makes of a metric."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard.errors import UsageError
from steelyard.series.judgements import ConfirmationOutcome
from steelyard.series.metric_rules import METRIC_RULES, Direction, MetricKind, MetricRule
from steelyard.spelling import meant

_EXAMPLE = "write it as 'p50 > +3%', 'memory > +2%', 'accuracy < -0.5pp' or 'output_hash changed'"
_GRAMMAR = re.compile(
    r"\s*(?P<metric>[A-Za-z_][A-Za-z0-9_]*)\s*(?:(?P<changed>changed)|(?P<operator>>|<)\s*"
    r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?P<unit>%|[A-Za-z]+))\s*"
)
_ALIASES = {"peak_rss": "memory", "latency": "p50"}
# The least share that an interval can be held against; below it a gate would fail on rounding.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A change that fails the gate: of the rule's metric, for the worse, and no smaller than its least effects.

    ``most_share`` is what an exact metric may grow by (0.01: 1 %).
    """

    text: str
    rule: MetricRule
    most_share: float = 0.0

    @property
    def metric(self) -> str:
        """The metric that it is on."""
        return self.rule.metric

    def allows(self, outcome: ConfirmationOutcome) -> bool:
        """Whether a change of an exact metric is no larger than it may be; of others the rule decides alone."""
        if self.rule.kind is not MetricKind.EXACT or outcome.ratio is None:
            return False
        return (outcome.ratio - 1.0) * self.rule.worse_sign <= self.most_share


def parse_conditions(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions, one a metric.

    Raises:
        UsageError: one makes no sense, or two are on one metric.
    """
    conditions = tuple(map(parse_condition, texts))
    metrics = [one.metric for one in conditions]
    twice = next((metric for metric in metrics if metrics.count(metric) > 1), None)
    if twice is not None:
        raise UsageError("bad_condition", f"{twice} is in two conditions of --fail-if: keep one of them")
    return conditions


def parse_condition(text: str) -> Condition:
    """Return the condition that a text says.

    Raises:
        UsageError: ``bad_condition`` or ``unknown_metric``, with how to write it.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise UsageError("bad_condition", f"--fail-if {text!r} is no condition: {_EXAMPLE}")
    name = _ALIASES.get(match["metric"], match["metric"])
    rule = METRIC_RULES.get(name)
    if rule is None:
        raise UsageError("unknown_metric", f"--fail-if {text!r}: no metric is called so; {meant(name, METRIC_RULES)}")
    if match["changed"]:
        return _changed(text, rule)
    _check_side(text, rule, match["operator"], match["sign"])
    if rule.direction is Direction.SAME:
        raise UsageError("bad_condition", f"--fail-if {text!r}: {name} has no size; write '{name} changed'")
    return _sized(text, rule, float(match["number"]), match["unit"])


def _changed(text: str, rule: MetricRule) -> Condition:
    if rule.kind is not MetricKind.EXACT:
        raise UsageError("bad_condition", f"--fail-if {text!r}: {rule.metric} has noise; {_EXAMPLE}")
    return Condition(text=text.strip(), rule=rule)


def _check_side(text: str, rule: MetricRule, operator: str, sign: str) -> None:
    is_more = operator == ">"
    if (is_more and sign == "-") or (not is_more and sign != "-"):
        raise UsageError(
            "bad_condition", f"--fail-if {text!r} is on a change: write > with + or no sign, and < with -; {_EXAMPLE}"
        )
    if rule.worse_sign and is_more != (rule.worse_sign > 0):
        worse = ">" if rule.worse_sign > 0 else "<"
        raise UsageError("bad_condition", f"--fail-if {text!r}: {rule.metric} gets worse the other way; use {worse}")


def _sized(text: str, rule: MetricRule, number: float, unit: str) -> Condition:
    wanted = "pp" if rule.unit == "fraction" else "%"
    if unit != wanted:
        raise UsageError("bad_condition", f"--fail-if {text!r}: changes of {rule.metric} are in {wanted}; {_EXAMPLE}")
    if rule.kind is MetricKind.ACCURACY:
        return _accuracy(text, rule, number / 100.0)
    return _relative(text, rule, number / 100.0)


def _accuracy(text: str, rule: MetricRule, loss: float) -> Condition:
    if not 0.0 < loss < 1.0:
        raise UsageError("bad_condition", f"--fail-if {text!r}: a loss lies between 0 and 100 pp; {_EXAMPLE}")
    return Condition(text=text.strip(), rule=replace(rule, minimum_effect_abs=loss, hard_limit=None))


def _relative(text: str, rule: MetricRule, share: float) -> Condition:
    if rule.kind is MetricKind.EXACT:
        return Condition(text=text.strip(), rule=rule, most_share=share)
    if not _LEAST_SHARE < share < 1.0:
        raise UsageError("bad_condition", f"--fail-if {text!r}: a change lies between 0 and 100 %; {_EXAMPLE}")
    changed = replace(rule, minimum_effect=share, minimum_effect_abs=0.0, confirm_effect=share)
    return Condition(text=text.strip(), rule=changed)
