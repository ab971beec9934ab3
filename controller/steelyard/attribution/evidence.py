"""How well a suspect explains which cells got worse and which did not."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from steelyard.attribution.survey import Cell, CellKey
from steelyard.nightly.night_findings import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Counts of cells: exposed to a suspect or not, worse or not; and those that are exposed and worse.

    ``p_value``: how likely so many hits among the exposed are when exposure has nothing to do with it (Fisher's exact
    test, one-sided); 1 where every cell is exposed, or none got worse.
    """

    hits: tuple[Cell, ...]
    exposed_count: int
    other_hit_count: int
    other_count: int
    p_value: float

    @property
    def share(self) -> float:
        """Of the exposed cells, how many got worse, from 0 to 1."""
        return len(self.hits) / self.exposed_count


class Field:
    """The cells that are not explained yet, by which suspects are weighed."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._cells = {cell.key: cell for cell in cells}
        self._worse_count = sum(cell.is_worse for cell in self._cells.values())

    def weigh(self, exposed: Collection[CellKey], *, may_be: Collection[Cause] = ()) -> Evidence:
        """Return the evidence for a suspect.

        A worse cell that a confirmation proved to be of another cause than ``may_be`` speaks neither for nor against
        it; with no ``may_be`` none is left out.
        """
        there = [self._cells[key] for key in exposed if key in self._cells]
        inside = [cell for cell in there if not may_be or not cell.put_back or cell.put_back & frozenset(may_be)]
        hits = tuple(cell for cell in inside if cell.is_worse)
        other_hit_count = self._worse_count - sum(cell.is_worse for cell in there)
        other_count = len(self._cells) - len(there)
        return Evidence(
            hits=hits,
            exposed_count=len(inside),
            other_hit_count=other_hit_count,
            other_count=other_count,
            p_value=_fisher(len(hits), len(inside), other_hit_count, other_count),
        )


def _fisher(hits: int, exposed: int, other_hits: int, others: int) -> float:
    """Return the upper tail of the hypergeometric distribution, by logarithms: thousands of cells have huge counts."""
    worse = hits + other_hits
    all_ways = _log_ways(exposed + others, worse)
    least, most = max(hits, worse - others), min(worse, exposed)
    tail = (_log_ways(exposed, count) + _log_ways(others, worse - count) - all_ways for count in range(least, most + 1))
    return min(1.0, math.fsum(math.exp(term) for term in tail))


def _log_ways(all_count: int, count: int) -> float:
    return math.lgamma(all_count + 1) - math.lgamma(count + 1) - math.lgamma(all_count - count + 1)
