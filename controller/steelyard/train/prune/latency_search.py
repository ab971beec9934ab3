"""The amount at which a pruned model reaches a measured latency: a bracketed search. Pure: a measurer comes in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.train.prune.latency_target import MeasuredShare

# Interpolated amounts stay this far from the ends of the bracket: an end was measured, and noise must not stall it.
_INNER = 0.1
# Where in a bracket another candidate is looked for, when the one that was wanted is known already.
_PARTS = (0.5, 0.75, 0.9, 0.25)
# Two amounts that differ by less are one.
_SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A candidate that was measured: ``left`` is the share of the cost that it has, ``share`` its time of the target's.

    ``whole`` is what the unpruned model takes as a share of the target, None where that is not known. ``removed`` are
    the units that each group lost.
    """

    left: float
    share: MeasuredShare
    whole: float | None = None
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A candidate one step of one group beside another: ``left`` as in ``Tried``, ``lost`` the scores it gives up."""

    left: float
    lost: float
    removed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRules:
    """``tolerance`` is how near to the target is near enough, ``most`` how many candidates are measured.

    ``least`` and ``whole`` are the ends of what may be left, ``start`` where the search begins.
    """

    tolerance: float
    most: int
    least: float
    whole: float
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best candidate, all that were measured, and what there is to know.

    ``is_hit``: it is as near as asked for; ``is_beyond``: the least that may be left was measured and is too slow.
    """

    best: Tried
    tried: tuple[Tried, ...]
    is_hit: bool
    is_beyond: bool
    notes: tuple[str, ...] = ()


def search_amount(left_at: Callable[[float], float], measure: Callable[[float], Tried], rules: SearchRules) -> Found:
    """Return the amount nearest to the target.

    Args:
        left_at: the share of the cost that a candidate of at most this amount really has (widths are rounded).
        measure: measures the candidate of an amount.
        rules: where to search.
    """
    tried: list[Tried] = []
    while len(tried) < rules.most:
        amount = _untried(left_at, tried, rules)
        if amount is None:
            break
        tried.append(measure(amount))
        if _is_near(tried[-1], rules):
            break
    return _found(tried, rules)


def refine(
    found: Found,
    near: Callable[[Tried], Sequence[Neighbour]],
    measure: Callable[[Neighbour], Tried],
    rules: SearchRules,
) -> Found:
    """Go on from the nearest candidate by single steps of single groups, where no amount gives another one.

    Widths in multiples make one ranking jump over the target. Of the neighbours that should come near enough, the one
    that loses least is measured first.

    Args:
        found: what ``search_amount`` returned.
        near: the neighbours of a candidate, on the side of the target.
        measure: measures one.
        rules: as in the search.
    """
    tried, best = list(found.tried), found.best
    while len(tried) < rules.most and not _is_near(best, rules):
        known = {one.removed for one in tried}
        left = [one for one in near(best) if one.removed not in known]
        if not left:
            break
        tried.append(measure(min(left, key=lambda one: _unlikeliness(one, best, tried, rules))))
        best = _nearest(tried)
    return _found(tried, rules)


def _unlikeliness(one: Neighbour, best: Tried, tried: Sequence[Tried], rules: SearchRules) -> tuple[float, float]:
    """Return how far a neighbour is expected outside the middle of the tolerance, and what it loses.

    Of the lines through the nearest candidate, the one counts that is most like time in proportion to the cost: between
    two that are close together there is little but noise.
    """
    slopes = [
        (other.share.value - best.share.value) / (other.left - best.left)
        for other in tried
        if abs(other.left - best.left) > _SAME
    ]
    rising = [slope for slope in slopes if slope > 0]
    slope = min(rising, key=lambda slope: abs(slope - best.share.value / best.left), default=None)
    slope = best.share.value / best.left if slope is None else slope
    expected = best.share.value + slope * (one.left - best.left)
    return max(abs(expected - 1) - rules.tolerance / 2, 0.0), one.lost


def _found(tried: Sequence[Tried], rules: SearchRules) -> Found:
    best = _nearest(tried)
    return Found(
        best=best,
        tried=tuple(tried),
        is_hit=_is_near(best, rules),
        is_beyond=best.share.value > 1 + rules.tolerance and best.left <= rules.least + _SAME,
        notes=_unsteady(tried, tolerance=rules.tolerance),
    )


def _nearest(tried: Sequence[Tried]) -> Tried:
    return min(tried, key=lambda one: (abs(one.share.value - 1), one.left))


def _is_near(one: Tried, rules: SearchRules) -> bool:
    return abs(one.share.value - 1) <= rules.tolerance


def _untried(left_at: Callable[[float], float], tried: Sequence[Tried], rules: SearchRules) -> float | None:
    """Return the next amount whose candidate was not measured yet, None where there is none in the bracket."""
    if not tried:
        return min(max(rules.start, rules.least), rules.whole)
    below = max((one.left for one in tried if one.share.value <= 1), default=None)
    above = [one.left for one in tried if one.share.value > 1 and (below is None or one.left > below)]
    low, high = rules.least if below is None else below, min(above, default=rules.whole)
    inside = [low + part * (high - low) for part in _PARTS]
    for amount in (_guess(tried, low, high, rules), *inside, *([low] if below is None else [])):
        if all(abs(left_at(amount) - one.left) > _SAME for one in tried):
            return amount
    return None


def _guess(tried: Sequence[Tried], low: float, high: float, rules: SearchRules) -> float:
    """Return where the line through the ends of the bracket meets the target, away from both."""
    shares = {one.left: one.share.value for one in tried}
    whole = next((one.whole for one in tried if one.whole is not None), None)
    if whole is not None:
        shares.setdefault(rules.whole, whole)
    first, second = shares.get(low), shares.get(high)
    if first is not None and second is not None and second > first:
        at = low + (1 - first) * (high - low) / (second - first)
    elif first is not None:
        at = low / first
    elif second is not None:
        at = _beyond(shares, high)
    else:
        at = (low + high) / 2
    room = _INNER * (high - low)
    if first is None and at <= low + room:
        # The least was not measured: what lies at it, or beyond it, is asked of it.
        return low
    return min(max(at, low + room), high - room)


def _beyond(shares: dict[float, float], nearest: float) -> float:
    """Return where a line through the two fastest candidates would meet the target; one through nothing for one."""
    others = sorted(left for left in shares if left > nearest)
    slope = shares[nearest] / nearest
    if others and shares[others[0]] > shares[nearest]:
        slope = (shares[others[0]] - shares[nearest]) / (others[0] - nearest)
    return nearest - (shares[nearest] - 1) / slope


def _unsteady(tried: Sequence[Tried], *, tolerance: float) -> tuple[str, ...]:
    """Return a sentence where a candidate with less left was clearly slower than one with more."""
    ordered = sorted(tried, key=lambda one: one.left)
    for smaller, larger in itertools.combinations(ordered, 2):
        slower = smaller.share.value / larger.share.value
        is_apart = (smaller.share.low or 0) > (larger.share.high or math.inf)
        if is_apart and slower > 1 + tolerance:
            told = f"with {smaller.left:.1%} left the model took {slower:.2f} times as long as with {larger.left:.1%}"
            return (f"less was not faster everywhere: {told}",)
    return ()
