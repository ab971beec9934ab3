"""When enough was measured: one rule for every measurement, with planned looks and the error spent over them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import Enum

from steelyard.stats.spending import share_of_measurement, spent_share
from steelyard.stats.thresholds import DEFAULT_TARGET_HALF_WIDTH

# 6, 10, 14, 20, 28, 40. Even, so that each of two artifacts went first as often as the other.
LOOK_GROWTH = 1.4


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

    Counts are of all rounds, those of earlier measurements that this one extends included: ``earlier_rounds`` of them,
    by ``extension`` measurements. ``target_half_width`` is relative (0.02: +-2 %). ``budget_ns`` is device time of the
    new rounds; None for no bound. ``looks`` are the round counts at which verdicts may be read, from
    ``earlier_rounds + min_rounds`` up to ``max_rounds``; by default they grow by 1.4.
    """

    min_rounds: int = 6
    max_rounds: int = 40
    target_half_width: float = DEFAULT_TARGET_HALF_WIDTH
    budget_ns: int | None = None
    earlier_rounds: int = 0
    extension: int = 0
    looks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Fill in the looks, and refuse a rule that cannot be followed."""
        new_rounds = self.max_rounds - self.earlier_rounds
        least = 1 if self.extension else 3
        if not (least <= self.min_rounds <= new_rounds and (self.extension > 0) == (self.earlier_rounds > 0)):
            raise ValueError(
                f"{least} <= min_rounds <= max_rounds does not hold for {self.min_rounds} and {self.max_rounds} "
                f"beside {self.earlier_rounds} earlier rounds by {self.extension} measurements"
            )
        if self.target_half_width < 0.0 or (self.budget_ns is not None and self.budget_ns <= 0):
            raise ValueError(
                f"a half-width of {self.target_half_width} in {self.budget_ns} ns of device time cannot be reached"
            )
        first = self.earlier_rounds + self.min_rounds
        looks = self.looks or planned_looks(first, self.max_rounds, earlier_rounds=self.earlier_rounds)
        rising = all(one < two for one, two in itertools.pairwise(looks))
        if not rising or looks[0] != first or looks[-1] != self.max_rounds:
            raise ValueError(f"looks rise from {first} to {self.max_rounds} rounds, not {looks}")
        object.__setattr__(self, "looks", looks)

    def look_confidence(self, confidence: float, round_count: int, *, is_last: bool) -> float:
        """Return the confidence of the tests after ``round_count`` rounds, so that all looks keep ``confidence``.

        A look may spend what the spending function allows up to it, less what the looks before it were allowed; the
        last one, planned or not, spends all that is left. The sum of the looks' errors is the whole error, so that it
        is kept however the looks are correlated (Boole's inequality).
        """
        before = max((look for look in self.looks if look < round_count), default=self.earlier_rounds)
        share = (1.0 if is_last else self._spent(round_count)) - self._spent(before)
        return 1.0 - (1.0 - confidence) * share_of_measurement(self.extension) * share

    def _spent(self, round_count: int) -> float:
        planned = self.max_rounds - self.earlier_rounds
        return spent_share(min(1.0, max(0, round_count - self.earlier_rounds) / planned))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a measurement is.

    ``round_count`` counts earlier rounds as well; ``device_time_ns`` was used by the new ones so far; ``round_time_ns``
    is what another round takes, None when not known yet.
    """

    round_count: int
    device_time_ns: int
    round_time_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known at a look.

    ``decided``: every requirement and comparison has a verdict at ``StopRule.look_confidence``. ``half_widths`` are the
    relative half-widths of the intervals that must be narrow, None for one that has no interval.
    """

    decided: bool = False
    half_widths: tuple[float | None, ...] = ()


def planned_looks(first: int, last: int, growth: float = LOOK_GROWTH, *, earlier_rounds: int = 0) -> tuple[int, ...]:
    """Return the round counts to look at: ``first``, each next one ``growth`` times as many and even, ``last``.

    ``growth`` is that of the rounds beyond ``earlier_rounds``.
    """
    looks = [first]
    while looks[-1] < last:
        wanted = earlier_rounds + (looks[-1] - earlier_rounds) * growth
        looks.append(min(last, max(looks[-1] + 1, 2 * math.ceil(round(wanted / 2.0, 6)))))
    return tuple(looks)


def is_last_look(rule: StopRule, progress: Progress) -> bool:
    """Whether no more rounds can come: the most are measured, or another one would pass the budget."""
    return progress.round_count >= rule.max_rounds or _affordable(rule, progress, 1) == 0


def is_look(rule: StopRule, progress: Progress) -> bool:
    """Whether verdicts may be read now."""
    return progress.round_count in rule.looks or is_last_look(rule, progress)


def next_grant(rule: StopRule, progress: Progress, look: Look) -> Grant | Stop:
    """Return how many rounds to grant next, or why to stop.

    Verdicts count at the planned looks and when nothing more can come; between them (a grant was cut short) measuring
    goes on. The first round is granted whatever it takes, or there would be nothing to report.
    """
    done = progress.round_count
    if is_look(rule, progress):
        stop = _satisfied(rule, done, look)
        if stop is not None:
            return stop
    if done >= rule.max_rounds:
        return Stop(reason=StopReason.MOST_ROUNDS, because=f"{done} rounds were measured, the most that were allowed")
    wanted = next(one for one in rule.looks if one > done) - done
    affordable = _affordable(rule, progress, wanted)
    if affordable == 0:
        return Stop(
            reason=StopReason.BUDGET,
            because=f"the budget of device time ended after {done} round{'' if done == 1 else 's'}",
        )
    return Grant(round_count=affordable)


def _satisfied(rule: StopRule, done: int, look: Look) -> Stop | None:
    if look.decided:
        return Stop(reason=StopReason.DECIDED, because=f"every verdict was settled after {done} rounds")
    widths = [width for width in look.half_widths if width is not None]
    if widths and len(widths) == len(look.half_widths) and max(widths) <= rule.target_half_width:
        return Stop(
            reason=StopReason.PRECISE,
            because=f"the widest interval is +-{max(widths) * 100:.2g} % after {done} rounds",
        )
    return None


def _affordable(rule: StopRule, progress: Progress, wanted: int) -> int:
    if rule.budget_ns is None:
        return wanted
    left_ns = rule.budget_ns - progress.device_time_ns
    if progress.round_count <= rule.earlier_rounds:
        left_ns = max(left_ns, progress.round_time_ns or 1)
    if left_ns <= 0:
        return 0
    if not progress.round_time_ns:
        return wanted
    return min(wanted, left_ns // progress.round_time_ns)
