"""A narrower copy of a model: the same share of the channels of every layer."""

from __future__ import annotations

from steelyard.train.errors import TrainingInputError
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.costs import parameter_count
from steelyard.train.prune.fused_heads import with_heads_apart
from steelyard.train.prune.importances import importance_of
from steelyard.train.prune.pruner import Pruner, PruneRules
from steelyard.train.prune.statistics import Statistics


def narrowed(lifted: LiftedModel, share: float, *, round_to: int = 1) -> tuple[LiftedModel, str]:
    """Return a copy with ``share`` of the channels of every layer, those of the largest weights, and what was done.

    Raises:
        TrainingInputError: the model cannot be made narrower; nothing_narrower: rounding leaves it as it is.
    """
    before = parameter_count(lifted)
    lifted, _ = with_heads_apart(lifted)
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    pruner = Pruner(lifted, importance_of("l2"), statistics, PruneRules(scope="layer", round_to=round_to))
    made = pruner.pruned(1 - share, parameter_count)
    if share < 1 and made.cost == before:
        raise TrainingInputError(
            "nothing_narrower",
            f"a width of {share:g} in multiples of {round_to} leaves every layer as wide as it is; write a smaller "
            "width, or a smaller round_to where the step has one",
        )
    return made.lifted, f"a width of {share:g} left {made.cost:,.0f} of {before:,.0f} parameters"
