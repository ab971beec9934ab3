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
]

_EXAMPLE = "for example 'p90<20ms' or 'drop<1pp'"
_GRAMMAR = re.compile(
    r"\s*(?P<metric>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<operator><=|>=|<|>)\s*"
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
        Metric(name="drop", unit="pp", multipliers={"pp": 1.0}),
        Metric(name="speedup", unit="ratio", multipliers={"x": 1.0}, bare=1.0),
        Metric(name="throughput", unit="1/s", multipliers={"/s": 1.0}, bare=1.0),
        *(Metric(name=name, unit="J", multipliers=_ENERGY) for name in ("energy", "net_energy")),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A bound on a metric; ``threshold`` is in the metric's own unit, see ``METRICS``."""

    text: str
    metric: str
    operator: str
    threshold: float

    def __post_init__(self) -> None:
        """Refuse what no figure can be held against."""
        if self.metric not in METRICS or self.operator not in _OPERATORS or not math.isfinite(self.threshold):
            raise ValueError(f"{self.metric!r} {self.operator!r} {self.threshold!r} is no requirement")

    @property
    def unit(self) -> str:
        """The unit of the threshold."""
        return METRICS[self.metric].unit

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


def parse_requirement(text: str) -> Requirement:
    """Read ``METRIC OP VALUE[UNIT]``, METRIC one of ``METRICS``: "p90<20ms", "throughput>100/s", "drop<1pp".

    Raises:
        UsageError: the text is no requirement; the sentence names what is wrong and the nearest right spelling.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise _error(text, f"it must read METRIC OP VALUE[UNIT] with < <= > or >=, {_EXAMPLE}")
    metric = METRICS.get(match["metric"])
    if metric is None:
        raise _error(text, f"unknown metric {match['metric']!r}{_nearest_spelling(match['metric'], METRICS)}")
    threshold = float(match["number"]) * _multiplier(text, metric, match["unit"])
    if not math.isfinite(threshold) or (threshold < 0.0 and metric.name != "drop"):
        raise _error(text, f"{match['number']} is no {metric.name} that could be required, {_EXAMPLE}")
    if metric.unit == "fraction" and threshold > 1.0:
        raise _error(text, f"an accuracy is at most 1 or 100 %; did you mean '{metric.name}{match['operator']}90%'?")
    return Requirement(text=text.strip(), metric=metric.name, operator=match["operator"], threshold=threshold)


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


def _multiplier(text: str, metric: Metric, unit: str) -> float:
    known = ", ".join(metric.multipliers)
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
