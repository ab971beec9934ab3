"""How many units of each group go, for a share of all of them. Pure: scores in, counts out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A share of 0.2 is a little less where it is 1 - 0.8.
_ROUNDING = 1e-9
# All groups are ranked together; those of one structure are (Fang et al. 2024); each group gives the same share.
SCOPES = ("global", "isomorphic", "layer")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedGroup:
    """``scores`` float64 [units] of what goes or stays together, each of ``unit_channels`` channels.

    ``pattern`` is what groups of the same structure have in common. ``whole_count`` are the units that there were
    before any round of pruning, where there are fewer now.
    """

    scores: NDArray[np.float64]
    unit_channels: int
    pattern: str
    whole_count: int = 0

    def __post_init__(self) -> None:
        """Refuse scores that cannot be ordered."""
        if self.scores.ndim != 1 or not np.isfinite(self.scores).all():
            raise ValueError(f"scores of {self.pattern} are {self.scores.shape} or no numbers; give one number a unit")

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return int(self.scores.size)


def removed_counts(
    groups: Sequence[RankedGroup], ratio: float, *, scope: str, round_to: int, least: float = 0.0
) -> list[int]:
    """Return how many units of each group go, those of the lowest scores, for ``ratio`` of the units of a scope.

    Each group keeps one unit, and the share ``least`` of the units that it began with, at least. What is kept is
    rounded to multiples of ``round_to`` channels.
    """
    if scope == "layer":
        wanted = [math.floor(ratio * one.unit_count + _ROUNDING) for one in groups]
    else:
        wanted = [0] * len(groups)
        for places in _scopes(groups, scope):
            for place, count in zip(places, _lowest([groups[place] for place in places], ratio), strict=True):
                wanted[place] = count
    return [_rounded(one, count, round_to, least) for one, count in zip(groups, wanted, strict=True)]


def one_step(group: RankedGroup, removed: int, *, back: bool, round_to: int, least: float = 0.0) -> int | None:
    """Return how many units go where a group is one multiple of ``round_to`` narrower, or wider with ``back``.

    None where it is as narrow or as wide as it may be.
    """
    step, kept = _step(group, round_to), group.unit_count - removed
    wanted = (kept // step + 1) * step if back else (math.ceil(kept / step) - 1) * step
    found = min(wanted, group.unit_count)
    if found == kept or found < min(math.ceil(_floor(group, least) / step) * step, group.unit_count):
        return None
    return group.unit_count - found


def _scopes(groups: Sequence[RankedGroup], scope: str) -> list[list[int]]:
    if scope == "global":
        return [list(range(len(groups)))]
    found: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(groups):
        found[one.pattern].append(place)
    return list(found.values())


def _lowest(groups: Sequence[RankedGroup], ratio: float) -> list[int]:
    """Return how many of the lowest scores of all groups together are in each; equal ones go in order."""
    scores = np.concatenate([one.scores for one in groups])
    owners = np.concatenate([np.full(one.unit_count, place) for place, one in enumerate(groups)])
    order = np.argsort(scores, kind="stable")[: math.floor(ratio * scores.size + _ROUNDING)]
    return [int(np.count_nonzero(owners[order] == place)) for place in range(len(groups))]


def _rounded(group: RankedGroup, removed: int, round_to: int, least: float) -> int:
    step, floor = _step(group, round_to), _floor(group, least)
    kept = max(floor, group.unit_count - removed)
    if step > 1:
        kept = max(step, math.ceil(floor / step) * step, round(kept / step) * step)
    return group.unit_count - min(kept, group.unit_count)


def _step(group: RankedGroup, round_to: int) -> int:
    """Return how many units are the least multiple of ``round_to`` channels."""
    return round_to // math.gcd(round_to, group.unit_channels)


def _floor(group: RankedGroup, least: float) -> int:
    return max(1, math.ceil(least * max(group.unit_count, group.whole_count)))
