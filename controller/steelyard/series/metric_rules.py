"""What counts as a change of a metric: its direction, the least change that matters, and how it is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from steelyard.errors import UsageError
from steelyard.spelling import meant
from steelyard.stats.thresholds import DEFAULT_EQUIVALENCE_MARGIN, DEFAULT_MINIMUM_EFFECT, Thresholds


class Direction(Enum):
    """Which values of a metric are the better ones."""

    LOWER = "lower"
    HIGHER = "higher"
    # Neither: whatever differs is a change (an output hash, the placement of operators).
    SAME = "same"


class MetricKind(Enum):
    """How values of a metric are compared."""

    # With noise: over the nights on the log scale, confirmed by interleaved rounds.
    CONTINUOUS = "continuous"
    # Over the same samples: McNemar's test where the answers are there, with floors.
    ACCURACY = "accuracy"
    # No noise: equal or not.
    EXACT = "exact"


class SentinelUse(Enum):
    """How a night's value is freed of what its device did that night."""

    NONE = "none"
    # Times: value over the sentinel's p50.
    DIVIDE = "divide"
    # Rates: value times the sentinel's p50.
    MULTIPLY = "multiply"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """What a night holds a metric against.

    ``minimum_effect`` (0.03: 3 %) and ``minimum_effect_abs`` (in ``unit``) are the least change that makes a candidate;
    both must be reached. ``confirm_effect`` is the least relative change that a confirmation confirms. Of accuracies,
    ``minimum_effect_abs`` counts together with a McNemar p below ``p_value``, and a loss of ``hard_limit`` counts
    whatever p says; None for no such limit.
    """

    metric: str
    kind: MetricKind
    direction: Direction
    unit: str
    minimum_effect: float = 0.0
    minimum_effect_abs: float = 0.0
    confirm_effect: float = DEFAULT_MINIMUM_EFFECT
    sentinel: SentinelUse = SentinelUse.NONE
    p_value: float = 0.01
    hard_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that no night could be held against."""
        if not self.metric or not self.unit:
            raise ValueError(f"a rule has a metric and a unit, not {self.metric!r} and {self.unit!r}")
        if not (0.0 <= self.minimum_effect < 1.0 and self.minimum_effect_abs >= 0.0):
            raise ValueError(
                f"{self.metric}: minimum effects lie between 0 and 1, and from 0 on in {self.unit}, not "
                f"{self.minimum_effect!r} and {self.minimum_effect_abs!r}"
            )
        if not (0.0 < self.confirm_effect < 1.0 and 0.0 < self.p_value < 1.0):
            raise ValueError(
                f"{self.metric}: a confirmation's effect and p-value lie between 0 and 1, not "
                f"{self.confirm_effect!r} and {self.p_value!r}"
            )
        if self.hard_limit is not None and self.hard_limit < self.minimum_effect_abs:
            raise ValueError(
                f"{self.metric}: a hard limit of {self.hard_limit!r} is below the least, {self.minimum_effect_abs!r}"
            )
        if self.kind is not MetricKind.EXACT and self.direction is Direction.SAME:
            raise ValueError(f"{self.metric}: only exact metrics have no better direction")

    @property
    def thresholds(self) -> Thresholds:
        """What confirmations compare with: "no difference" rules out what the rule calls a change."""
        smallest = min(self.confirm_effect, self.minimum_effect or self.confirm_effect)
        return Thresholds(
            minimum_effect=smallest, equivalence_margin=max(DEFAULT_EQUIVALENCE_MARGIN, self.minimum_effect, smallest)
        )

    @property
    def worse_sign(self) -> int:
        """1 where more is worse, -1 where less is worse, 0 where neither is."""
        return {Direction.LOWER: 1, Direction.HIGHER: -1, Direction.SAME: 0}[self.direction]


def _time(metric: str, effect: float, effect_ns: float = 0.0, sentinel: SentinelUse = SentinelUse.DIVIDE) -> MetricRule:
    return MetricRule(
        metric=metric,
        kind=MetricKind.CONTINUOUS,
        direction=Direction.LOWER,
        unit="ns",
        minimum_effect=effect,
        minimum_effect_abs=effect_ns,
        sentinel=sentinel,
    )


def _continuous(metric: str, unit: str, effect: float, effect_abs: float = 0.0) -> MetricRule:
    return MetricRule(
        metric=metric,
        kind=MetricKind.CONTINUOUS,
        direction=Direction.LOWER,
        unit=unit,
        minimum_effect=effect,
        minimum_effect_abs=effect_abs,
    )


def _exact(metric: str, unit: str, direction: Direction) -> MetricRule:
    return MetricRule(metric=metric, kind=MetricKind.EXACT, direction=direction, unit=unit)


_MIB = 1024.0**2
# Names and units as requirements have them (steelyard.stats.requirements); "memory" is the peak resident set over the
# imported runtime. To start from: p50, p95, memory, energy, load, accuracy. The others were set beside these: tails
# wander more the further out they are, and starts of a process as much as loading.
METRIC_RULES: Mapping[str, MetricRule] = {
    rule.metric: rule
    for rule in (
        _time("p50", 0.03, 50_000.0),
        _time("p90", 0.05, 50_000.0),
        _time("p95", 0.08, 50_000.0),
        _time("p99", 0.15, 50_000.0),
        _time("response_p50", 0.03, 50_000.0),
        _time("response_p90", 0.05, 50_000.0),
        _time("response_p99", 0.15, 50_000.0),
        _time("first_step", 0.05, 50_000.0),
        _time("per_step", 0.03, 50_000.0),
        # These wait for storage and for the operating system, which the sentinel does not.
        *(_time(name, 0.10, sentinel=SentinelUse.NONE) for name in ("load", "first", "build")),
        MetricRule(
            metric="throughput",
            kind=MetricKind.CONTINUOUS,
            direction=Direction.HIGHER,
            unit="1/s",
            minimum_effect=0.03,
            sentinel=SentinelUse.MULTIPLY,
        ),
        _continuous("memory", "B", 0.02, _MIB),
        _continuous("energy", "J", 0.05),
        _continuous("net_energy", "J", 0.05),
        MetricRule(
            metric="accuracy",
            kind=MetricKind.ACCURACY,
            direction=Direction.HIGHER,
            unit="fraction",
            minimum_effect_abs=0.001,
            hard_limit=0.005,
        ),
        _exact("size", "B", Direction.LOWER),
        _exact("macs", "number", Direction.LOWER),
        _exact("placement", "text", Direction.SAME),
        _exact("output_hash", "text", Direction.SAME),
    )
}


def rule_for(metric: str) -> MetricRule:
    """Return the default rule of a metric; a suite replaces what it says otherwise (``dataclasses.replace``).

    Raises:
        UsageError: nothing is known of the metric.
    """
    rule = METRIC_RULES.get(metric)
    if rule is None:
        raise UsageError("unknown_metric", f"no nightly metric is called {metric!r}; {meant(metric, METRIC_RULES)}")
    return rule
