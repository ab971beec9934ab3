"""The statistics of BatchNorm taken anew: after weights or channels changed, the old ones belong to another model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    from torch import Tensor, nn


def normalizers(module: nn.Module) -> list[nn.Module]:
    """Return the BatchNorm layers that keep statistics."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return [one for one in module.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]


def reestimate(model: TrainableModel, batches: Iterable[Mapping[str, Tensor]]) -> int:
    """Set each BatchNorm's mean and variance to the mean of those of the batches; return how many layers there are.

    Nothing else changes: the rest of the model stays in evaluation mode.
    """
    import torch

    layers = normalizers(model.module)
    if not layers:
        return 0
    momenta = [one.momentum for one in layers]
    model.module.eval()
    for one in layers:
        one.reset_running_stats()
        one.momentum = None  # a cumulative mean, in torch's own words
        one.train()
    with torch.no_grad():
        for inputs in batches:
            model.run(inputs)
    for one, momentum in zip(layers, momenta, strict=True):
        one.momentum = momentum
    model.module.eval()
    return len(layers)
