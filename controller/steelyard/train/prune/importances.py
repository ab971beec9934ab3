"""Importances: how much a channel counts. A function of (group, model, statistics) gives one score a channel.

A group is torch-pruning's: the channels of one layer with all that hangs on them. Any importance of torch-pruning
works unchanged (``as_importance``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from steelyard.compress.errors import RecipeError
from steelyard.spelling import meant
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.statistics import Statistics

if TYPE_CHECKING:
    from torch import Tensor

# Scores [channels], higher ones stay longer; None for a group that it cannot judge, which stays as it is.
Importance = Callable[[Any, TrainableModel, Statistics], "Tensor | None"]

KINDS = ("l1", "l2", "taylor", "bn-scale", "fpgm", "lamp", "hessian", "activation", "random")
# These look at training samples.
_DATA_DRIVEN = frozenset({"taylor", "hessian", "activation"})


def importance_kinds() -> tuple[str, ...]:
    """Return the kinds of all known importances, those of plugins last."""
    from steelyard.plugins.lookup import kinds
    from steelyard.plugins.roles import IMPORTANCES

    return (*KINDS, *(kind for kind in kinds(IMPORTANCES) if kind not in KINDS))


def looks_at_samples(kind: str) -> bool:
    """Return whether an importance may look at training samples; those of plugins may."""
    return kind in _DATA_DRIVEN or kind not in KINDS


def require_importance(kind: str) -> None:
    """Refuse a kind that neither we nor a plugin has, without importing the plugin.

    Raises:
        RecipeError: unknown_importance, with the nearest known kind.
    """
    if kind not in importance_kinds():
        raise RecipeError(
            "unknown_importance",
            f"there is no importance {kind!r}; {meant(kind, importance_kinds())}; a plugin's file is named with "
            "--plugin",
        )


def importance_of(kind: str) -> Importance:
    """Return an importance by its kind.

    Raises:
        RecipeError: unknown_importance, with the nearest known kind.
        PluginError: it is a plugin's, which cannot be used.
    """
    if kind not in KINDS:
        return _of_plugin(kind)
    if kind == "random":
        return random_scores
    if kind == "activation":
        return activation_scores
    if kind == "fpgm":
        from steelyard.train.prune.geometric_median import geometric_median_scores

        return geometric_median_scores
    import torch_pruning

    found = torch_pruning.importance
    made: dict[str, Callable[[], Any]] = {
        "l1": lambda: found.GroupMagnitudeImportance(p=1),
        "l2": lambda: found.GroupMagnitudeImportance(p=2),
        "taylor": found.GroupTaylorImportance,
        "bn-scale": found.BNScaleImportance,
        "lamp": found.LAMPImportance,
        "hessian": found.GroupHessianImportance,
    }
    return as_importance(made[kind](), needs_gradients=kind in _DATA_DRIVEN)


def as_importance(scorer: Any, *, needs_gradients: bool = True) -> Importance:
    """Return a torch-pruning ``Importance`` as one of ours, unchanged.

    With ``needs_gradients`` it finds gradients in the parameters. torch-pruning's Hessian finds what it makes of those
    of each sample: its own sum over samples (1.6.1) looks for names among parameters, and has the last sample alone.
    A group of which all scores are no numbers is not judged.
    """
    from torch_pruning.pruner.importance import GroupHessianImportance

    def scores(group: Any, model: TrainableModel, statistics: Statistics) -> Tensor | None:
        del model
        if isinstance(scorer, GroupHessianImportance):
            statistics.put_squared_gradients()
        elif needs_gradients:
            statistics.put_gradients()
        found = scorer(group)
        # A share of a mean of nothing: of weights that are all zero, or that the loss does not hang on.
        return None if found is None or bool(found.isnan().all()) else found

    return scores


def random_scores(group: Any, model: TrainableModel, statistics: Statistics) -> Tensor:
    """Return drawn scores, the same for the same seed and layer: the control of every other importance."""
    import zlib

    import torch

    del model
    name = statistics.name_of(group[0].dep.target.module)
    generator = torch.Generator().manual_seed((statistics.seed * 1_000_003 + zlib.crc32(name.encode())) % (1 << 63))
    return torch.rand(len(group[0].idxs), generator=generator)


def activation_scores(group: Any, model: TrainableModel, statistics: Statistics) -> Tensor | None:
    """Return the mean magnitude of what each channel gives, of all layers of the group, as shares of their mean."""
    import torch

    del model
    known = statistics.activations()
    total, count = torch.zeros(len(group[0].idxs)), 0
    for item in group:
        layer = item.dep.target.module
        name = statistics.name_of(layer) if _is_named(statistics, layer) else ""
        gives_channels = (
            item.dep.handler.__name__.startswith("prune_out") or "out_channels" in item.dep.handler.__name__
        )
        if name not in known or not gives_channels or None in item.root_idxs:
            continue
        given = known[name]
        places = torch.tensor(list(item.root_idxs))
        total.scatter_add_(0, places, given[torch.tensor(list(item.idxs))] / given.mean().clamp_min(1e-12))
        count += 1
    return total / count if count else None


def _is_named(statistics: Statistics, layer: Any) -> bool:
    try:
        statistics.name_of(layer)
    except KeyError:
        return False
    return True


def _of_plugin(kind: str) -> Importance:
    from steelyard.plugins.lookup import find
    from steelyard.plugins.roles import IMPORTANCES

    require_importance(kind)
    plugin = find(IMPORTANCES, kind)
    assert plugin is not None
    found: Importance = plugin.made().score
    return found
