"""What an output of a classifier holds: scores of any size, or shares that a softmax or a sigmoid made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

LOGITS = "logits"
PROBABILITIES = "probabilities"
LOG_PROBABILITIES = "log-probabilities"
# Of sums over classes; float32's own error is some 1e-7 a class.
_SUM_TOLERANCE = 1e-3
_LEAST_SHARE = 1e-12
# Parts of the names of functions that give sums of products, and of those that only move values.
_LINEAR = ("linear", "conv", "matmul", "addmm")
_MOVES = ("reshape", "view", "flatten", "squeeze", "permute", "transpose", "getitem")


def form_of_output(given: Tensor, axis: int) -> str:
    """Return what an output [N, ...] holds, by its values: shares of classes along ``axis`` add up to 1.

    An output with one value along the axis holds probabilities where all of them lie from 0 to 1.
    """
    values = given.detach().float()
    is_share = bool(((values >= 0) & (values <= 1)).all())
    if values.dim() < 2 or values.shape[axis] == 1:
        return PROBABILITIES if is_share else LOGITS
    if is_share and _adds_up(values, axis):
        return PROBABILITIES
    is_log = bool((values <= _SUM_TOLERANCE).all())
    return LOG_PROBABILITIES if is_log and _adds_up(values.exp(), axis) else LOGITS


def ends_linearly(module: Any, place: int) -> bool:
    """Return whether a linear layer gives the output at ``place`` of a traced module: then it holds scores.

    Their values may lie from 0 to 1 all the same, of a model that lost most of its channels.
    """
    from torch import fx

    traced = module if isinstance(module, fx.GraphModule) else getattr(module, "graph", None)
    if not isinstance(traced, fx.GraphModule):
        return False
    (end,) = (node for node in traced.graph.nodes if node.op == "output")
    given: Any = end.args[0]
    node = given[place] if isinstance(given, tuple | list) else given
    while node is not None:
        kind = _kind(traced, node)
        if kind is not None:
            return kind
        node = node.all_input_nodes[0] if node.all_input_nodes else None
    return False


def _kind(traced: Any, node: Node) -> bool | None:
    """Return whether a node is a linear layer, None for one that passes values on."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    if node.op == "call_module":
        layer = traced.get_submodule(node.target)
        is_rounding = hasattr(layer, "fake_quant_enabled")
        return None if is_rounding else isinstance(layer, (nn.Linear, _ConvNd))
    name = getattr(node.target, "__name__", str(node.target))
    if any(one in name for one in _MOVES):
        return None
    return any(one in name for one in _LINEAR)


def log_shares(given: Tensor, form: str) -> Tensor:
    """Return scores whose softmax are the shares of classes: logits as they are, probabilities as logarithms."""
    return given.clamp_min(_LEAST_SHARE).log() if form == PROBABILITIES else given


def _adds_up(values: Tensor, axis: int) -> bool:
    return bool(((values.sum(dim=axis) - 1).abs() <= _SUM_TOLERANCE).all())
