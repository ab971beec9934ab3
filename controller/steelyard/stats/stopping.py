"""When enough was measured: one rule for every measurement, with planned looks and the error spent over them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import Enum

# 6, 9, 13, 19, 28, 40: each look sees about half as many rounds again, so that few looks share the error.
LOOK_GROWTH = 1.45


class StopReason(Enum):
    """Why no more rounds are granted."""

    DECIDED = "decided"
    PRECISE = "precise"
    MOST_ROUNDS = "most_rounds"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave for this many more rounds."""

    round_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The end of measuring, with one sentence for people."""

    reason: StopReason
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """How long to measure.

    ``target_half_width`` is relative (0.02: +-2 %). ``budget_ns`` is device time; None for no bound. ``looks`` are the
    round counts at which verdicts may be read, from ``min_rounds`` up to ``max_rounds``; by default they grow by 1.45.
    """

    min_rounds: int = 6
    max_rounds: int = 40
    target_half_width: float = 0.02
    budget_ns: int | None = None
    looks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Fill in the looks, and refuse a rule that cannot be followed."""
        if not 3 <= self.min_rounds <= self.max_rounds:
            raise ValueError(f"3 <= min_rounds <= max_rounds does not hold for {self.min_rounds}, {self.max_rounds}")
        if self.target_half_width < 0.0 or (self.budget_ns is not None and self.budget_ns <= 0):
            raise ValueError(
                f"a half-width of {self.target_half_width} in {self.budget_ns} ns of device time cannot be reached"
            )
        looks = self.looks or planned_looks(self.min_rounds, self.max_rounds)
        rising = all(one < two for one, two in itertools.pairwise(looks))
        if not rising or looks[0] != self.min_rounds or looks[-1] != self.max_rounds:
            raise ValueError(f"looks rise from {self.min_rounds} to {self.max_rounds} rounds, not {looks}")
        object.__setattr__(self, "looks", looks)

    def look_confidence(self, confidence: float) -> float:
        """Return the confidence of each look's tests, so that all looks together keep ``confidence`` (Bonferroni)."""
        return 1.0 - (1.0 - confidence) / len(self.looks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known after some rounds.

    ``device_time_ns`` was used so far; ``round_time_ns`` is what another round takes, None when not known yet.
    ``decided``: every requirement and comparison has a verdict at ``StopRule.look_confidence``. ``half_widths`` are the
    relative half-widths of the intervals that must be narrow, None for one that has no interval.
    """

    round_count: int
    device_time_ns: int
    round_time_ns: int | None = None
    decided: bool = False
    half_widths: tuple[float | None, ...] = ()


def planned_looks(min_rounds: int, max_rounds: int, growth: float = LOOK_GROWTH) -> tuple[int, ...]:
    """Return the round counts to look at: ``min_rounds``, each next one ``growth`` times as many, ``max_rounds``."""
    looks = [min_rounds]
    while looks[-1] < max_rounds:
        looks.append(min(max_rounds, max(looks[-1] + 1, round(looks[-1] * growth))))
    return tuple(looks)


def next_grant(rule: StopRule, progress: Progress) -> Grant | Stop:
    """Return how many rounds to grant next, or why to stop.

    Verdicts count at the planned looks only; between them (a grant was cut short) measuring goes on. The first round is
    granted whatever it takes, or there would be nothing to report.
    """
    done = progress.round_count
    if done in rule.looks or done > rule.max_rounds:
        stop = _satisfied(rule, progress)
        if stop is not None:
            return stop
    if done >= rule.max_rounds:
        return Stop(reason=StopReason.MOST_ROUNDS, because=f"{done} rounds were measured, the most that were allowed")
    wanted = next(look for look in rule.looks if look > done) - done
    affordable = _affordable(rule, progress, wanted)
    if affordable == 0:
        return Stop(reason=StopReason.BUDGET, because=f"the budget of device time ended after {done} rounds")
    return Grant(round_count=affordable)


def _satisfied(rule: StopRule, progress: Progress) -> Stop | None:
    done = progress.round_count
    if progress.decided:
        return Stop(reason=StopReason.DECIDED, because=f"every verdict was settled after {done} rounds")
    widths = [width for width in progress.half_widths if width is not None]
    if widths and len(widths) == len(progress.half_widths) and max(widths) <= rule.target_half_width:
        return Stop(
            reason=StopReason.PRECISE,
            because=f"the widest interval is +-{max(widths) * 100:.2g} % after {done} rounds",
        )
    return None


def _affordable(rule: StopRule, progress: Progress, wanted: int) -> int:
    if rule.budget_ns is None:
        return wanted
    left_ns = rule.budget_ns - progress.device_time_ns
    if progress.round_count == 0:
        left_ns = max(left_ns, progress.round_time_ns or 1)
    if left_ns <= 0:
        return 0
    if not progress.round_time_ns:
        return wanted
    return min(wanted, left_ns // progress.round_time_ns)
