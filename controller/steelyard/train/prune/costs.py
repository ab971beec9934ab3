"""What a module costs: multiply-accumulates of one sample, and parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steelyard.train.lift.lifted import LiftedModel

if TYPE_CHECKING:
    from torch import Tensor, nn

# What a target may be of: a module in, a number out.
Cost = Callable[[LiftedModel], float]


def multiply_accumulates(lifted: LiftedModel) -> float:
    """Return the multiply-accumulates of one sample, as torch counts them, and those of recurrent layers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from steelyard.train.export.example import as_arguments, example_feed, interface_of

    interface = interface_of(lifted)
    arguments = as_arguments(interface, example_feed(interface))
    batch = int(arguments[0].shape[0]) if interface.open_batch else 1
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, _unseen_recurrences(lifted.module, counter) as unseen:
        lifted.module(*arguments)
    return float(counter.get_total_flops() / 2 + sum(unseen)) / batch


def parameter_count(lifted: LiftedModel) -> float:
    """Return how many numbers the module learnt."""
    return float(sum(one.numel() for one in lifted.module.parameters()))


COSTS: dict[str, Cost] = {"macs": multiply_accumulates, "parameters": parameter_count}


@contextmanager
def _unseen_recurrences(module: nn.Module, counter: Any) -> Iterator[list[float]]:
    """Yield a list that is filled with the products of recurrent layers that torch's counter does not see.

    It sees those that torch computes by matrix products (GRU), and not those of a kernel of their own (LSTM).
    """
    from torch import nn

    unseen: list[float] = []
    before: list[float] = []

    def begin(_layer: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        before.append(counter.get_total_flops() / 2)

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], _output: object) -> None:
        steps = inputs[0].shape[0] * inputs[0].shape[1]
        matrices = (one for name, one in layer.named_parameters() if name.startswith("weight"))
        seen = counter.get_total_flops() / 2 - before.pop()
        unseen.append(max(0.0, steps * sum(one.numel() for one in matrices) - seen))

    layers = [one for one in module.modules() if isinstance(one, nn.RNNBase)]
    handles = [
        hook for one in layers for hook in (one.register_forward_pre_hook(begin), one.register_forward_hook(count))
    ]
    try:
        yield unseen
    finally:
        for handle in handles:
            handle.remove()
