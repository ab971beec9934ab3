"""More of a model in the same time: layers wider where a device takes little longer, narrower where it saves much.

Pure: neighbours and a measurer come in. What a step of one layer takes is measured, as NetAdapt does (Yang et al.
2018); what several take together is taken for their sum, and measured before it counts.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.train.prune.latency_search import Found, Neighbour, SearchRules, Tried

# Layers that one trade changes.
_MOST_LAYERS = 3
# Trades that are measured, of the candidates that there are for all.
_CHECKED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One layer a multiple wider or narrower: what it takes of the target, what it adds to the cost, and the units."""

    place: int
    removed: int
    time: float
    left: float


def trade(
    found: Found,
    beside: Callable[[Tried, bool], Sequence[Neighbour]],
    combined: Callable[[tuple[int, ...]], Neighbour],
    measure: Callable[[Neighbour], Tried],
    rules: SearchRules,
    *,
    most: int,
) -> Found:
    """Return what was found, or a candidate that is as fast as the target and costs more: more of the model is left.

    Args:
        found: a candidate on target; another one is returned as it is.
        beside: neighbours of a candidate, wider ones where the flag is set.
        combined: the candidate without so many units of each group.
        measure: measures a candidate.
        rules: as in the search.
        most: how many candidates are measured.
    """
    if not found.is_hit or most <= _CHECKED:
        return found
    base, tried = found.best, list(found.tried)
    steps: list[_Step] = []
    for one in _alternating(beside(base, True), beside(base, False))[: most - _CHECKED]:
        tried.append(measure(one))
        steps.append(_step(base, tried[-1]))
    limit = max(1.0, base.share.value)
    known = {one.removed: one for one in tried}
    best, checks = base, most - len(steps)
    for removed in _trades(base, steps, limit):
        if removed not in known:
            if not checks:
                continue
            checks -= 1
            known[removed] = measure(combined(removed))
            tried.append(known[removed])
        made = known[removed]
        if made.left > best.left and made.share.value <= limit and abs(made.share.value - 1) <= rules.tolerance:
            best = made
            break
    return dataclasses.replace(found, best=best, tried=tuple(tried))


def _alternating(wider: Sequence[Neighbour], narrower: Sequence[Neighbour]) -> list[Neighbour]:
    pairs = itertools.zip_longest(wider, narrower)
    return [one for pair in pairs for one in pair if one is not None]


def _step(base: Tried, made: Tried) -> _Step:
    (place,) = [at for at, (now, then) in enumerate(zip(made.removed, base.removed, strict=True)) if now != then]
    return _Step(
        place=place,
        removed=made.removed[place],
        time=made.share.value - base.share.value,
        left=made.left - base.left,
    )


def _trades(base: Tried, steps: Sequence[_Step], limit: float) -> list[tuple[int, ...]]:
    """Return the units that go in every trade that should keep more within the limit, that which keeps most first."""
    found: list[tuple[float, tuple[int, ...]]] = []
    for count in range(1, _MOST_LAYERS + 1):
        for chosen in itertools.combinations(steps, count):
            places = {one.place: one.removed for one in chosen}
            left = sum(one.left for one in chosen)
            time = base.share.value + sum(one.time for one in chosen)
            if len(places) == count and left > 0 and time <= limit:
                removed = tuple(places.get(at, units) for at, units in enumerate(base.removed))
                found.append((left, removed))
    return [removed for _, removed in sorted(found, key=lambda one: -one[0])]
