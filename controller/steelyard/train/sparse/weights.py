"""The weights of a module that may be sparse, as arrays with outputs first and inputs last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.train.layer_patterns import layer_names, layers_matching
from steelyard.train.lift.lifted import LiftedModel

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseWeight:
    """A parameter by its name in the module."""

    name: str
    values: Tensor

    def outputs_first(self) -> NDArray[np.float32]:
        """Return the values as [outputs, ..., inputs]; convolutions store [outputs, inputs, ...]."""
        array = self.values.detach().cpu().numpy()
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if array.ndim > 2 else array

    def as_stored(self, mask: NDArray[np.bool_]) -> Tensor:
        """Return a mask of ``outputs_first`` in the parameter's own order of axes, where it is."""
        import torch

        moved = np.moveaxis(mask, -1, 1) if mask.ndim > 2 else mask
        return torch.from_numpy(np.ascontiguousarray(moved)).to(self.values.device)


def sparse_weights(lifted: LiftedModel, *, keep: Sequence[str], group_size: int = 0) -> list[SparseWeight]:
    """Return the weights of convolutions, linear and recurrent layers that may be sparse, in their order.

    Left out are layers that match ``keep`` (their names, or those of the ONNX nodes), depthwise convolutions, and
    layers with fewer inputs than ``group_size``.

    Raises:
        TrainingInputError: unknown_layer: a pattern matches none.
    """
    found = []
    kept = layers_matching(layer_names(lifted), keep, setting="sparse-train: keep")
    for name, layer in lifted.module.named_modules():
        if name in kept:
            continue
        for parameter, values in _weights_of(layer):
            weight = SparseWeight(name=f"{name}.{parameter}", values=values)
            if weight.outputs_first().shape[-1] >= group_size:
                found.append(weight)
    return found


def _weights_of(layer: nn.Module) -> Iterator[tuple[str, Any]]:
    from torch import nn

    if isinstance(layer, nn.RNNBase):
        yield from ((name, one) for name, one in layer.named_parameters() if name.startswith("weight"))
    elif isinstance(layer, nn.Linear):
        yield "weight", layer.weight
    elif isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and layer.weight.shape[1] > 1:
        # One input channel a group is a depthwise convolution: a channel hangs on a few weights. A first layer on
        # grey pictures looks alike and is as small.
        yield "weight", layer.weight
