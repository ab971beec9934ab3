"""Optimizers and how the learning rate goes; the rate follows from the number of the update alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import nn

# What a trained network takes without losing what it knows: AdamW for convolutions, and for transformers (Devlin et al.
# 2019 fine-tune with 2e-5 to 5e-5), SGD with momentum.
_ADAMW_RATE = 5e-4
_TRANSFORMER_RATE = 5e-5
_SGD_RATE = 1e-2
# Projectors of hints begin with drawn weights.
_LEAST_EXTRA_RATE = 1e-3
_STEPS = ((0.75, 0.01), (0.5, 0.1))


def learning_rate_of(settings: TrainingSettings, module: nn.Module) -> float:
    """Return the highest learning rate: the setting, or for 0 one by the optimizer and the kind of model."""
    from torch import nn

    if settings.learning_rate > 0:
        return float(settings.learning_rate)
    if settings.optimizer == "sgd":
        return _SGD_RATE
    is_transformer = any(isinstance(one, nn.LayerNorm) for one in module.modules())
    return _TRANSFORMER_RATE if is_transformer else _ADAMW_RATE


def make_optimizer(settings: TrainingSettings, module: nn.Module, extra: nn.Module | None) -> Any:
    """Return an optimizer of all parameters that learn; biases and scales of norms do not decay.

    Raises:
        TrainingInputError: nothing_to_train.
    """
    import torch

    rate = learning_rate_of(settings, module)
    groups = _groups(settings, module, rate)
    if not groups:
        raise TrainingInputError(
            "nothing_to_train", f"{settings.kind}: the model has no weights that could learn; leave the step out"
        )
    if extra is not None:
        groups += _groups(settings, extra, max(rate, _LEAST_EXTRA_RATE))
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, nesterov=settings.momentum > 0)
    return torch.optim.AdamW(groups, lr=rate)


def _groups(settings: TrainingSettings, module: nn.Module, peak: float) -> list[dict[str, Any]]:
    learning = [one for one in module.parameters() if one.requires_grad]
    decays = {True: settings.weight_decay, False: 0.0}
    found = (
        {"params": [one for one in learning if _is_vector(one) is not decaying], "weight_decay": decay, "peak": peak}
        for decaying, decay in decays.items()
    )
    return [group for group in found if group["params"]]


def _is_vector(parameter: nn.Parameter) -> bool:
    """Return whether a parameter is a bias or a scale: files add and multiply with them as [1, C, 1, 1], too."""
    return bool(parameter.dim() < 2 or (parameter.dim() > 2 and parameter.numel() == max(parameter.shape)))


def set_rate(optimizer: Any, settings: TrainingSettings, update: int, update_count: int) -> None:
    """Set the learning rate for an update, counted from 0."""
    share = rate_share(settings, update, update_count)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def rate_share(settings: TrainingSettings, update: int, update_count: int) -> float:
    """Return the learning rate of an update as a share of the highest one, above 0."""
    warm = round(settings.warmup * update_count)
    if update < warm:
        return (update + 1) / (warm + 1)
    done = (update - warm) / max(1, update_count - warm)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if settings.schedule == "step":
        return next((share for begin, share in _STEPS if done >= begin), 1.0)
    return 1.0
