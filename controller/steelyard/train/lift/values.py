"""What a value of the ONNX graph is while its model is lifted: known already, computed, or a size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

# Additive attention masks stand at -1e4 and below; no weight does.
_MASK_MAGNITUDE = 9e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A tensor that is known when the model is lifted. ``key`` says where it came from: equal keys share a weight."""

    tensor: torch.Tensor
    key: str

    @property
    def sample(self) -> torch.Tensor:
        """The tensor itself."""
        return self.tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A tensor that the module computes: its place in the traced graph, and its value on the sample inputs."""

    node: fx.Node
    sample: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """One number or a list of numbers computed from shapes. They stay Python numbers, so that exports see shapes."""

    node: fx.Node
    sample: Any


Value = Stored | Made | Sizes


def is_weight(tensor: torch.Tensor) -> bool:
    """Return whether a stored tensor that is added or multiplied is something to train.

    Single numbers (scales, epsilons) and masks (zeros and ones, or large negative numbers) are not.
    """
    if not tensor.is_floating_point() or tensor.numel() < 2:
        return False
    if not math.isfinite(peak := float(tensor.abs().max())) or peak > _MASK_MAGNITUDE:
        return False
    is_mask = bool(((tensor == 0) | (tensor == 1)).all()) and 0 < int(tensor.sum()) < tensor.numel()
    return not is_mask
