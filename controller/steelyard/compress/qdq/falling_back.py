"""Choose which operators go back to float so that a bound holds: the fewest along a ranking, then a give-back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Of differences of scores.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Operators in float and the loss that the model then has, in the unit of the bound (smaller is better)."""

    names: frozenset[str]
    loss: float


def holds(loss: float, most_loss: float) -> bool:
    """Return whether a bound holds; a drop of ten samples in a thousand is one of 0.01, whatever its last bit says."""
    return loss <= most_loss + _ROUNDING


class FallbackSearch:
    """Searches once; ``front`` holds everything that was evaluated, in that order."""

    def __init__(self, loss_of: Callable[[frozenset[str]], float], *, most_loss: float) -> None:
        self._loss_of = loss_of
        self._most_loss = most_loss
        self.front: list[Candidate] = []

    def holds_without(self) -> bool:
        """Return whether the bound holds with nothing in float: then no ranking is needed."""
        return holds(self._try(()).loss, self._most_loss)

    def search(self, ranking: Sequence[str], *, most_count: int) -> Candidate:
        """Return the fewest operators of a ranking that keep the bound; when none do, the lowest loss that was seen.

        Counts 0, 1, 2, 4, … are tried until one holds, then the gap is bisected; at the end operators are quantized
        again, the last of the ranking first, while the bound holds. A loss need not fall with each operator: what holds
        was evaluated, never inferred.
        """
        best = self._fewest(ranking, min(most_count, len(ranking)))
        if best is None:
            return min(self.front, key=lambda one: (one.loss, len(one.names)))
        return self._give_back(best, ranking)

    def _fewest(self, ranking: Sequence[str], most_count: int) -> Candidate | None:
        below, count = -1, 0
        while True:
            tried = self._try(ranking[:count])
            if holds(tried.loss, self._most_loss):
                break
            if count >= most_count:
                return None
            below, count = count, min(max(1, 2 * count), most_count)
        best = tried
        while count - below > 1:
            middle = (below + count) // 2
            tried = self._try(ranking[:middle])
            if holds(tried.loss, self._most_loss):
                best, count = tried, middle
            else:
                below = middle
        return best

    def _give_back(self, best: Candidate, ranking: Sequence[str]) -> Candidate:
        for name in reversed([one for one in ranking if one in best.names]):
            if len(best.names) < 2:
                break
            tried = self._try([one for one in ranking if one in best.names and one != name])
            if holds(tried.loss, self._most_loss):
                best = tried
        return best

    def _try(self, names: Sequence[str]) -> Candidate:
        wanted = frozenset(names)
        for known in self.front:
            if known.names == wanted:
                return known
        loss = self._loss_of(wanted)
        # NaN compares as neither better nor worse, and would be taken for the best.
        self.front.append(Candidate(names=wanted, loss=math.inf if math.isnan(loss) else loss))
        return self.front[-1]
