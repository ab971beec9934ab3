"""Recurrent layers lose hidden channels: of all gates, and of the state that they read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steelyard.train.lift.ops.recurrent import Recurrent

if TYPE_CHECKING:
    from torch import fx, nn

_GATES = 4


def lstm_pruner() -> Any:
    """Return how torch-pruning takes channels out of an ``nn.LSTM``.

    Its own way (1.6.1) takes the rows of one gate, and columns where rows are.
    """
    import torch
    from torch_pruning.pruner.function import LSTMPruner

    class EveryGate(LSTMPruner):  # type: ignore[misc]
        def prune_out_channels(self, layer: nn.LSTM, idxs: Sequence[int]) -> nn.LSTM:
            kept = sorted(set(range(layer.hidden_size)) - set(idxs))
            rows = [gate * layer.hidden_size + one for gate in range(_GATES) for one in kept]
            with torch.no_grad():
                for name, values in list(layer.named_parameters()):
                    left = values[rows][:, kept] if name.startswith("weight_hh") else values[rows]
                    setattr(layer, name, torch.nn.Parameter(left.clone()))
            layer.hidden_size = len(kept)
            return layer

    return EveryGate()


def why_whole(module: fx.GraphModule) -> dict[str, str]:
    """Return why recurrent layers keep their channels, by the name of torch's layer; none for those that lose some."""
    found = {}
    for node in module.graph.nodes:
        layer = module.get_submodule(node.target) if node.op == "call_module" else None
        if not isinstance(layer, Recurrent):
            continue
        if layer.layer.bidirectional:
            found[f"{node.target}.layer"] = "it reads both ways"
        elif any(one is not None for one in node.args[1:]):
            found[f"{node.target}.layer"] = "its first state is given"
    return found


def is_followed(layer: Recurrent) -> bool:
    """Return whether torch-pruning follows channels into a layer: an LSTM's alone."""
    from torch import nn

    return isinstance(layer.layer, nn.LSTM)
