"""Prune a model to a latency: candidates of one ranking, measured on a device before anything is trained."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from steelyard.compress.contract import Progress
from steelyard.compress.latency import LatencyOracle
from steelyard.train.errors import TrainingInputError
from steelyard.train.prune.costs import Cost
from steelyard.train.prune.latency_search import Found, Neighbour, SearchRules, Tried, refine, search_amount
from steelyard.train.prune.latency_target import LatencyTarget
from steelyard.train.prune.latency_trade import trade
from steelyard.train.prune.pruner import PrunedModel, Pruner

# Where a search for a time begins, before the model's own time is known.
_UNKNOWN_START = 0.5
# Against sums of products that were rounded on their way: the least that may be left is asked for exactly.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPruning:
    """What a latency is reached by: its target, how near, by how many candidates, and who measures them.

    ``trades`` further candidates are measured to keep more in the same time. Candidates are written to ``work_dir`` and
    measured beside ``reference``, the model that the step starts from.
    """

    target: LatencyTarget
    tolerance: float
    most: int
    trades: int
    oracle: LatencyOracle
    reference: Path
    work_dir: Path
    progress: Progress

    @property
    def first_amount(self) -> float:
        """Where a search begins that knows nothing: time is taken to follow the cost."""
        return self.target.ratio or _UNKNOWN_START

    def prune(
        self, pruner: Pruner, cost: Cost, whole_cost: float, *, start: float, is_reference: bool
    ) -> tuple[PrunedModel, Found]:
        """Return the pruned model whose measured latency is nearest to the target.

        Args:
            pruner: of the model as it is now.
            cost: what is taken out.
            whole_cost: what the model of the step cost at first; amounts are shares of it.
            start: the amount at which the search begins.
            is_reference: whether the pruner's model is the one that candidates are measured beside.

        Raises:
            TrainingInputError: latency_beyond_reach: the least that may stay takes longer; latency_reached_already.
            CompressionInputError: the device gives no figure.
        """
        candidates = _Candidates(self, pruner, cost, whole_cost, is_reference=is_reference)
        least, whole = (pruner.pruned(ratio, cost).cost / whole_cost for ratio in (1.0, 0.0))
        rules = SearchRules(tolerance=self.tolerance, most=self.most, least=least, whole=whole, start=start)
        found = search_amount(candidates.left_at, candidates.measured_at, rules)
        if not found.is_beyond:
            found = refine(
                found, lambda best: candidates.beside(best, best.share.value < 1), candidates.measured, rules
            )
            found = trade(found, candidates.beside, candidates.without, candidates.measured, rules, most=self.trades)
        if found.is_beyond:
            raise TrainingInputError(
                "latency_beyond_reach",
                f"a latency of {self.target.text} is out of reach: with as few channels as may stay, {least:.1%} left, "
                f"it is {self.target.written(found.best.share)}; ask for more than that, or lower least or round_to",
            )
        return pruner.without(found.best.removed, cost), found

    def notes(self, found: Found, what: str) -> tuple[str, ...]:
        """Return what was found, and by how many candidates."""
        best, count = found.best, len(found.tried)
        beside = " of the model's time" if self.target.ratio is not None else ""
        counted = f"{count} candidate{'' if count == 1 else 's'} measured"
        told = f"{best.left:.1%} of {what} left is {self.target.written(best.share)}{beside}, {counted}"
        missed = f"none came within {self.tolerance:.1%} of {self.target.text}: this is the nearest"
        return (told, *(() if found.is_hit else (missed,)), *found.notes)

    def measured(self, pruned: PrunedModel, whole_cost: float, *, is_reference: bool) -> Tried:
        """Measure a candidate beside the reference.

        Raises:
            TrainingInputError: latency_reached_already.
            CompressionInputError: the device gives no figure.
        """
        from steelyard.train.steps.model_files import write_model

        left = pruned.cost / whole_cost
        path = self.work_dir / f"candidate-{left:.6f}.onnx"
        self.progress(f"writing the candidate with {left:.1%} left", 0, 1)
        write_model(pruned.lifted, path)
        measured = self.oracle.measure(path, self.reference, f"a copy with {left:.1%} left")
        path.unlink()
        whole = self.target.share_of_parent(measured)
        share = self.target.share_of(measured)
        if whole is not None and whole <= 1:
            raise TrainingInputError(
                "latency_reached_already",
                f"a latency of {self.target.text} asks for nothing: the model takes {self.target.time_of(whole)} on "
                f"{measured.device} as it is; ask for less than that",
            )
        return Tried(left=left, share=share, whole=whole if is_reference else None, removed=pruned.removed)


class _Candidates:
    """The candidates of one search. Models are made when they are measured, and few are held: they may be large."""

    def __init__(
        self, pruning: LatencyPruning, pruner: Pruner, cost: Cost, whole_cost: float, *, is_reference: bool
    ) -> None:
        self._pruning = pruning
        self._pruner = pruner
        self._cost = cost
        self._whole_cost = whole_cost
        self._is_reference = is_reference
        self._at = functools.cache(self._made_at)

    def left_at(self, amount: float) -> float:
        """Return the share of the cost that the candidate of an amount has."""
        return self._at(amount).cost / self._whole_cost

    def measured_at(self, amount: float) -> Tried:
        """Measure the candidate of an amount."""
        return self._measured(self._at(amount))

    def beside(self, best: Tried, is_wider: bool) -> list[Neighbour]:
        """Return the neighbours of a candidate, one layer wider or narrower each."""
        base = self._pruner.without(best.removed, self._cost)
        return [self._neighbour(one) for one in self._pruner.near(base, self._cost, back=is_wider)]

    def without(self, removed: tuple[int, ...]) -> Neighbour:
        """Return the candidate without so many units of each group."""
        return self._neighbour(self._pruner.without(removed, self._cost))

    def measured(self, neighbour: Neighbour) -> Tried:
        """Measure a candidate that ``beside`` or ``without`` returned."""
        return self._measured(self._pruner.without(neighbour.removed, self._cost))

    def _made_at(self, amount: float) -> PrunedModel:
        return self._pruner.to_target(self._cost, amount * self._whole_cost * (1 + _ROUNDING))

    def _neighbour(self, made: PrunedModel) -> Neighbour:
        return Neighbour(left=made.cost / self._whole_cost, lost=made.lost, removed=made.removed)

    def _measured(self, pruned: PrunedModel) -> Tried:
        return self._pruning.measured(pruned, self._whole_cost, is_reference=self._is_reference)
