"""Take channels out of a module until it costs no more than a target."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.errors import first_line
from steelyard.train.errors import TrainingInputError
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.costs import Cost
from steelyard.train.prune.groups import ChannelGroup, channel_groups, dependency_graph
from steelyard.train.prune.importances import Importance
from steelyard.train.prune.ranking import RankedGroup, one_step, removed_counts
from steelyard.train.prune.statistics import Statistics
from steelyard.train.prune.trial import running_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What comes nearer to its target is left so: every model of ordinary widths does.
_NEAR = 0.9
# Halvings of the share of channels that go: a thousandth of them.
_HALVINGS = 10
# Neighbours of a model that are made at once: each is a copy that runs.
_MOST_NEAR = 24
_NOT_JUDGED = "the importance does not judge it"
_COUNTED_ON = "a size that the model stores counts on its width"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRules:
    """How channels are chosen: ``scope`` of the ranking, widths in multiples of ``round_to``, layers to ``keep``.

    Each layer keeps the share ``least`` of its channels. ``heads``: attention loses whole heads, else dimensions of
    each.
    """

    scope: str = "global"
    round_to: int = 1
    least: float = 0.0
    keep: tuple[str, ...] = ()
    heads: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrunedModel:
    """A module after pruning; ``widths`` are channels before and after, by the layer that each group begins with.

    ``removed`` are the units that each group lost, ``lost`` the sum of their scores.
    """

    lifted: LiftedModel
    cost: float
    widths: Mapping[str, tuple[int, int]]
    removed: tuple[int, ...]
    lost: float


class Pruner:
    """Prunes copies of one model; the scores are made once."""

    def __init__(
        self,
        lifted: LiftedModel,
        importance: Importance,
        statistics: Statistics,
        rules: PruneRules,
        *,
        whole: Mapping[str, int] | None = None,
    ) -> None:
        """Find the groups and score their channels; ``whole`` are the ``unit_counts`` before the first round.

        Raises:
            TrainingInputError: not_prunable: the module cannot be traced; nothing_to_prune: no group is left;
                unknown_layer.
        """
        self._lifted = lifted
        self._rules = rules
        try:
            graph = dependency_graph(lifted)
            groups, self.left = channel_groups(lifted, graph, keep=rules.keep, heads=rules.heads)
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            raise TrainingInputError(
                "not_prunable",
                f"torch-pruning cannot follow the channels of this model ({type(error).__name__}: "
                f"{first_line(error)}); use the steps without pruning",
            ) from error
        running = running_groups(lifted, groups, _take_out, round_to=rules.round_to)
        self.left |= {one.root: _COUNTED_ON for one in groups if one not in running}
        model = TrainableModel.of(lifted)
        self._groups: list[ChannelGroup] = []
        self._ranked: list[RankedGroup] = []
        for group in running:
            scores = importance(group.full, model, statistics)
            if scores is None:
                self.left[group.root] = _NOT_JUDGED
                continue
            self._groups.append(group)
            self._ranked.append(_ranked(group, scores, (whole or {}).get(group.root, 0)))
        lifted.module.zero_grad(set_to_none=True)
        if not self._groups:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(self.left.items())[:3]) or "it has no such layer"
            judged = _NOT_JUDGED not in self.left.values()
            instead = "name fewer layers in keep, or take a step that keeps all widths, sparse-train or qat"
            if not judged:
                instead = "choose another importance, or name fewer layers in keep"
            raise TrainingInputError(
                "nothing_to_prune", f"no layer of the model can lose channels ({reasons}); {instead}"
            )

    @property
    def unit_counts(self) -> dict[str, int]:
        """How many units each group has, by the layer that it begins with."""
        return {group.root: len(group.units) for group in self._groups}

    def pruned(self, ratio: float, cost: Cost) -> PrunedModel:
        """Return a copy without ``ratio`` of the units, those of the lowest scores.

        Raises:
            TrainingInputError: not_prunable: the copy does not run.
        """
        return self.without(self._counts(ratio), cost)

    def _counts(self, ratio: float) -> list[int]:
        rules = self._rules
        return removed_counts(self._ranked, ratio, scope=rules.scope, round_to=rules.round_to, least=rules.least)

    def near(self, pruned: PrunedModel, cost: Cost, *, back: bool) -> Iterator[PrunedModel]:
        """Yield copies of which one group is one multiple narrower than in ``pruned``, or wider with ``back``.

        They are those that lose least, ``_MOST_NEAR`` at most; none where every layer gives the same share. No ratio of
        a ranking may give them.

        Raises:
            TrainingInputError: not_prunable: a copy does not run.
        """
        rules, found = self._rules, []
        if rules.scope == "layer":
            return
        for place, (ranked, count) in enumerate(zip(self._ranked, pruned.removed, strict=True)):
            other = one_step(ranked, count, back=back, round_to=rules.round_to, least=rules.least)
            if other is not None:
                found.append([*pruned.removed[:place], other, *pruned.removed[place + 1 :]])
        for counts in sorted(found, key=self._lost)[:_MOST_NEAR]:
            yield self.without(counts, cost)

    def without(self, counts: Sequence[int], cost: Cost) -> PrunedModel:
        """Return a copy without so many units of each group, those of the lowest scores.

        Raises:
            TrainingInputError: not_prunable: the copy does not run.
        """
        made = dataclasses.replace(self._lifted, module=copy.deepcopy(self._lifted.module))
        widths = {}
        try:
            if any(counts):
                graph = dependency_graph(made)
                for group, ranked, count in zip(self._groups, self._ranked, counts, strict=True):
                    width = len(group.units) * ranked.unit_channels
                    widths[group.root] = (width, width - count * ranked.unit_channels)
                    _take_out(made, graph, group, sorted(int(unit) for unit in _lowest(ranked, count)))
            spent = cost(made)
        except (RuntimeError, ValueError, IndexError) as error:
            raise TrainingInputError(
                "not_prunable",
                f"the model does not run after channels were taken out ({first_line(error)}); name layers that stay "
                f"whole in keep, beginning with {', '.join(list(widths)[:3])}",
            ) from error
        return PrunedModel(lifted=made, cost=spent, widths=widths, removed=tuple(counts), lost=self._lost(counts))

    def to_target(self, cost: Cost, target: float) -> PrunedModel:
        """Return the copy that loses least and costs ``target`` at most.

        Raises:
            TrainingInputError: target_leaves_nothing: with as few channels as may stay it still costs more.
        """
        whole = self.pruned(0.0, cost)
        if whole.cost <= target:
            return whole
        low, high = 0.0, 1.0
        best = self.pruned(high, cost)
        if best.cost > target:
            narrow = sorted(best.widths, key=lambda name: best.widths[name][1])[:3]
            told = ", ".join(f"{name} {best.widths[name][1]}" for name in narrow) or "all of them"
            raise TrainingInputError(
                "target_leaves_nothing",
                f"the target of {target:,.0f} would leave a layer without channels: with the fewest that may stay in "
                f"each ({told}) it is {best.cost:,.0f}; ask for more than that, lower least or round_to, or take out "
                "whole blocks",
            )
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            tried = self.pruned(middle, cost)
            if tried.cost <= target:
                best, high = tried, middle
            else:
                low = middle
        return best if best.cost >= _NEAR * target else self._given_back(best, self._counts(low), cost, target)

    def _given_back(self, best: PrunedModel, fewer: Sequence[int], cost: Cost, target: float) -> PrunedModel:
        """Return ``best`` with what may stay of what goes at its ratio and not a little below it.

        Narrow layers in wide steps lose theirs at one ratio, all at once.
        """
        counts = list(best.removed)
        gone = [
            (place, float(np.sort(one.scores)[few:many].mean() / (one.scores.mean() or 1.0)))
            for place, (one, few, many) in enumerate(zip(self._ranked, fewer, counts, strict=True))
            if few < many
        ]
        for place, _ in sorted(gone, key=lambda one: -one[1]):
            trial = [*counts[:place], fewer[place], *counts[place + 1 :]]
            tried = self.without(trial, cost)
            if tried.cost <= target:
                best, counts = tried, trial
        return best

    def _lost(self, counts: Sequence[int]) -> float:
        pairs = zip(self._ranked, counts, strict=True)
        return float(sum(ranked.scores[_lowest(ranked, count)].sum() for ranked, count in pairs))


def _lowest(ranked: RankedGroup, count: int) -> NDArray[np.int64]:
    """Return the ``count`` units of the lowest scores."""
    return np.argsort(ranked.scores, kind="stable")[:count]


def _ranked(group: ChannelGroup, scores: Any, whole_count: int) -> RankedGroup:
    """Return a group with a score a unit, the mean over its channels.

    Raises:
        TrainingInputError: importance_misfit.
    """
    import torch

    count = len(group.full[0].idxs)
    try:
        values = torch.as_tensor(scores).detach().cpu().double().numpy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingInputError(
            "importance_misfit",
            f"the importance gave {type(scores).__name__} for the {count} channels of {group.root}, which holds no "
            "numbers; give a tensor of one number a channel",
        ) from error
    if values.shape != (count,) or not np.isfinite(values).all():
        raise TrainingInputError(
            "importance_misfit",
            f"the importance gave scores of {list(values.shape)} for the {count} channels of {group.root}, or some "
            "that are no numbers; give one number a channel",
        )
    return RankedGroup(
        scores=np.array([values[list(unit)].mean() for unit in group.units]),
        unit_channels=len(group.units[0]),
        pattern=group.pattern,
        whole_count=whole_count,
    )


def _take_out(lifted: LiftedModel, graph: Any, group: ChannelGroup, units: Sequence[int]) -> None:
    if not units:
        return
    module = lifted.module
    layer = module.get_submodule(group.root)
    pruner = graph.get_pruner_of_module(layer)
    channels = [channel for unit in units for channel in group.units[unit]]
    graph.get_pruning_group(layer, pruner.prune_out_channels, sorted(channels)).prune()
    if group.attention:
        module.get_submodule(group.attention).head_count -= len(units)
