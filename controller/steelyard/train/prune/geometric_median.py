"""How far the filters of a group lie from each other: one near to the others can be done without (He et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.statistics import Statistics

if TYPE_CHECKING:
    from torch import Tensor, nn


def geometric_median_scores(group: Any, model: TrainableModel, statistics: Statistics) -> Tensor | None:
    """Return the sum of each channel's distances to all others, a mean over the layers of the group, as shares.

    Distances are Euclidean, of the weights that make a channel or read it. torch-pruning's (1.6.1) are those of their
    squares, for which a filter and its opposite are one, and it knows no readers in groups.
    """
    import torch

    del model, statistics
    total, count = torch.zeros(len(group[0].idxs)), 0
    for item in group:
        filters = _filters(item.dep.target.module, item.dep.handler)
        if filters is None or None in item.root_idxs:
            continue
        found = filters[torch.tensor(list(item.idxs))]
        distances = torch.cdist(found, found, compute_mode="donot_use_mm_for_euclid_dist").sum(dim=1)
        total.scatter_add_(0, torch.tensor(list(item.root_idxs)), distances)
        count += 1
    return total / total.mean().clamp_min(torch.finfo(total.dtype).tiny) if count else None


def _filters(layer: nn.Module, handler: Any) -> Tensor | None:
    """Return the weights of a convolution or linear layer as [channels, weights], None for another layer."""
    from torch_pruning.pruner import function

    gives = handler in (function.prune_conv_out_channels, function.prune_linear_out_channels)
    if not gives and handler not in (function.prune_conv_in_channels, function.prune_linear_in_channels):
        return None
    weight: Any = layer.weight.detach()
    if gives is not bool(getattr(layer, "transposed", False)):
        return weight.flatten(1)
    # Of each group of channels: [others, channels, ...] to [channels, others, ...].
    parts = weight.unflatten(0, (int(getattr(layer, "groups", 1)), -1))
    return parts.transpose(1, 2).flatten(0, 1).flatten(1)
