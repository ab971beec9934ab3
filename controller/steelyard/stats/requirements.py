"""Requirements as a person types them ("p90<20ms"), and whether an interval meets them."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from steelyard.errors import UsageError
from steelyard.stats.estimate import Estimate
from steelyard.stats.formatting import format_estimate, format_value
from steelyard.stats.task_metric import TaskMetric

__all__ = [
    "METRICS",
    "Metric",
    "Outcome",
    "Requirement",
    "RequirementVerdict",
    "decide",
    "format_value",
    "nearest",
    "parse_requirement",
    "required_name",
]

_EXAMPLE = "for example 'p90<20ms' or 'drop<1pp'"
_GRAMMAR = re.compile(
    r"\s*(?P<metric>[A-Za-z_][A-Za-z0-9_-]*)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*(?P<unit>[A-Za-z%/]*)\s*"
)
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure that can be required: its unit inside, and what each typed unit multiplies a number with.

    ``bare`` is the multiplier of a number without a unit; None when a unit must be typed.
    """

    name: str
    unit: str
    multipliers: Mapping[str, float]
    bare: float | None = None
    may_be_negative: bool = False


_TIME = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
_SIZE = {
    "B": 1.0,
    "KB": 1e3,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
}
_ENERGY = {"uJ": 1e-6, "mJ": 1e-3, "J": 1.0}
_TIMES = (
    *("p50", "p90", "p95", "p99", "response_p50", "response_p90", "response_p99"),
    *("first_step", "per_step", "load", "first", "build"),
)
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        *(Metric(name=name, unit="ns", multipliers=_TIME) for name in _TIMES),
        *(Metric(name=name, unit="B", multipliers=_SIZE) for name in ("memory", "size")),
        Metric(name="accuracy", unit="fraction", multipliers={"%": 0.01}, bare=1.0),
        Metric(name="drop", unit="pp", multipliers={"pp": 1.0}, may_be_negative=True),
        Metric(name="speedup", unit="ratio", multipliers={"x": 1.0}, bare=1.0),
        Metric(name="throughput", unit="1/s", multipliers={"/s": 1.0}, bare=1.0),
        *(Metric(name=name, unit="J", multipliers=_ENERGY) for name in ("energy", "net_energy")),
    )
}


# What a task measures, and what of it a variant loses.
_SCORES = frozenset({"accuracy", "drop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A bound on a metric; ``threshold`` is in the metric's own unit, see ``METRICS``.

    ``score_unit`` is the unit of a bound on what the task measures, or on a drop of it, where ``METRICS`` has another
    one or none.
    """

    text: str
    metric: str
    operator: str
    threshold: float
    score_unit: str = ""

    def __post_init__(self) -> None:
        """Refuse what no figure can be held against."""
        is_known = self.metric in METRICS or self.score_unit
        if not is_known or self.operator not in _OPERATORS or not math.isfinite(self.threshold):
            raise ValueError(f"{self.metric!r} {self.operator!r} {self.threshold!r} is no requirement")

    @property
    def unit(self) -> str:
        """The unit of the threshold."""
        return self.score_unit or METRICS[self.metric].unit

    @property
    def is_on_score(self) -> bool:
        """Whether it is on what the task measures, or on a drop of it: more rounds do not change those."""
        return self.metric in _SCORES or self.metric not in METRICS

    def holds(self, value: float) -> bool:
        """Whether one value satisfies the bound."""
        return _OPERATORS[self.operator](value, self.threshold)

    def violation(self, value: float) -> float:
        """How far a value lies on the wrong side, relative to the threshold; 0 on the right side."""
        beyond = value - self.threshold if self.operator in {"<", "<="} else self.threshold - value
        return max(0.0, beyond / (abs(self.threshold) or 1.0))


class RequirementVerdict(Enum):
    """Whether a requirement is met; the values are the wire's names without their prefix."""

    MEETS = "MEETS"
    FAILS = "FAILS"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A requirement held against an estimate; ``because`` states the figure.

    ``violation`` is that of the estimate's value, infinite when there is none: it orders what misses by how much.
    """

    requirement: Requirement
    verdict: RequirementVerdict
    because: str
    violation: float

    @property
    def is_measured(self) -> bool:
        """Whether there was a figure at all."""
        return math.isfinite(self.violation)


def parse_requirement(text: str, score: TaskMetric | None = None) -> Requirement:
    """Read ``METRIC OP VALUE[UNIT]``, METRIC one of ``METRICS``: "p90<20ms", "throughput>100/s", "drop<1pp".

    Args:
        text: As it is typed.
        score: What the task measures, top-1 accuracy where it is not said: its kind is a METRIC too ("sqnr>30dB",
            "rmse<0.2"), "drop" is in its unit, and "accuracy" is known where it is a share of right answers.

    Raises:
        UsageError: the text is no requirement; the sentence names what is wrong and the nearest right spelling.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise _error(text, f"it must read METRIC OP VALUE[UNIT] with < <= > or >=, {_EXAMPLE}")
    known = METRICS if score is None else _with_score(score)
    metric = known.get(match["metric"])
    if metric is None:
        raise _error(text, f"unknown metric {match['metric']!r}{_nearest_spelling(match['metric'], known)}")
    threshold = float(match["number"]) * _multiplier(text, metric, match["unit"])
    if not math.isfinite(threshold) or (threshold < 0.0 and not metric.may_be_negative):
        raise _error(text, f"{match['number']} is no {metric.name} that could be required, {_EXAMPLE}")
    if metric.unit == "fraction" and threshold > 1.0:
        what = "an accuracy" if metric.name == "accuracy" else metric.name
        raise _error(text, f"{what} is at most 1 or 100 %; did you mean '{metric.name}{match['operator']}90%'?")
    return Requirement(
        text=text.strip(),
        metric=metric.name,
        operator=match["operator"],
        threshold=threshold,
        score_unit="" if METRICS.get(metric.name) == metric else metric.unit,
    )


def required_name(text: str) -> str:
    """Return the METRIC of a requirement as it is typed, "" where the text is none."""
    match = _GRAMMAR.fullmatch(text)
    return "" if match is None else match["metric"]


def decide(requirement: Requirement, estimate: Estimate) -> Outcome:
    """Hold a requirement against the whole interval of an estimate.

    Returns:
        MEETS when the whole interval satisfies it, FAILS when none of it does, UNDECIDED otherwise and when there is
        no interval.

    Raises:
        ValueError: the estimate is in another unit than the requirement.
    """
    if estimate.unit != requirement.unit:
        raise ValueError(f"{requirement.text!r} is in {requirement.unit!r}, the estimate in {estimate.unit!r}")
    figure = f"{requirement.metric} is {format_estimate(estimate)}"
    if estimate.value is None:
        return Outcome(
            requirement=requirement, verdict=RequirementVerdict.UNDECIDED, because=figure, violation=math.inf
        )
    verdict = _verdict(requirement, estimate)
    if verdict is RequirementVerdict.UNDECIDED and estimate.has_interval:
        figure += f", which does not settle {requirement.text}"
    return Outcome(
        requirement=requirement, verdict=verdict, because=figure, violation=requirement.violation(estimate.value)
    )


def nearest(outcomes: Mapping[str, Sequence[Outcome]]) -> str | None:
    """Return the label that is nearest to meeting all: the smallest worst violation, then the smallest sum of them.

    Returns:
        The first of equals; None when there is no label.
    """

    def badness(label: str) -> tuple[float, float]:
        violations = [outcome.violation for outcome in outcomes[label]]
        return max(violations, default=0.0), sum(violations)

    return min(outcomes, key=badness, default=None)


def _verdict(requirement: Requirement, estimate: Estimate) -> RequirementVerdict:
    if estimate.low is None or estimate.high is None:
        return RequirementVerdict.UNDECIDED
    ends = requirement.holds(estimate.low), requirement.holds(estimate.high)
    if all(ends):
        return RequirementVerdict.MEETS
    return RequirementVerdict.UNDECIDED if any(ends) else RequirementVerdict.FAILS


def _with_score(score: TaskMetric) -> Mapping[str, Metric]:
    """Return what can be required where a task measures ``score``."""
    shown = {score.shown_unit: 1.0} if score.shown_unit else {}
    is_fraction = score.unit == "fraction"
    own = Metric(
        name=score.kind,
        unit=score.unit,
        multipliers={"%": 0.01} if is_fraction else shown,
        bare=1.0,
        may_be_negative=not is_fraction,
    )
    drop = Metric(
        name="drop", unit=score.drop_unit, multipliers=shown, bare=None if shown else 1.0, may_be_negative=True
    )
    others = {name: one for name, one in METRICS.items() if name not in _SCORES}
    accuracy = {"accuracy": METRICS["accuracy"]} if score.is_accuracy else {}
    return {**accuracy, "drop": METRICS["drop"] if is_fraction else drop, score.kind: own, **others}


def _multiplier(text: str, metric: Metric, unit: str) -> float:
    known = ", ".join(metric.multipliers)
    if unit and not known:
        raise _error(text, f"{metric.name} has no unit here; leave {unit!r} out")
    if not unit:
        if metric.bare is None:
            raise _error(text, f"{metric.name} needs a unit: {known}")
        return metric.bare
    if unit not in metric.multipliers:
        spelling = _nearest_spelling(unit, metric.multipliers)
        raise _error(text, f"{unit!r} is no unit of {metric.name}{spelling}")
    return metric.multipliers[unit]


def _nearest_spelling(word: str, known: Iterable[str]) -> str:
    names = list(known)
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.5)
    meant = f"; did you mean {folded[close[0]]!r}?" if close else ";"
    return f"{meant} known are {', '.join(names)} ({_EXAMPLE})"


def _error(text: str, what: str) -> UsageError:
    return UsageError("invalid_requirement", f"requirement {text!r}: {what}.")
