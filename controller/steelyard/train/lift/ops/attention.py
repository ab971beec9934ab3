"""Attention as a layer whose count of heads a pruner can read and change."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steelyard.train.errors import LiftError
from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Value

# What ``patterns.attention`` puts in place of the operators of a head-wise attention.
HEADS_OP = "steelyard.Attention"
# The reason of the error that says: what looked like it is another computation.
NOT_BY_HEADS = "not_by_heads"
_MASK, _PAST = 3, 4


class HeadAttention(nn.Module):  # type: ignore[misc]
    """Attention over heads: ``query`` [B,T,H*D], ``key`` and ``value`` [B,S,H*D] -> [B,T,H*D].

    ``head_count`` is H; the width D of a head follows from what the module is given, so that a pruner that takes heads
    only has to change ``head_count``, and one that takes from every head nothing. ``scale`` multiplies the products of
    queries and keys, as the file has it. ``mask`` (broadcast to [B,H,T,S]) is added to them.
    """

    def __init__(self, head_count: int, *, scale: float) -> None:
        super().__init__()
        self.head_count = head_count
        self.scale = scale

    def forward(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        """Return the weighted values, heads side by side."""
        queries, keys, values = (self._by_head(one) for one in (query, key, value))
        scores = torch.matmul(queries, keys.transpose(-1, -2)) * self.scale
        scores = scores if mask is None else scores + mask
        made = torch.matmul(torch.softmax(scores, dim=-1), values)
        return made.transpose(1, 2).flatten(2)

    def _by_head(self, values: Any) -> Any:
        width = values.shape[2] // self.head_count
        return values.reshape(values.shape[0], values.shape[1], self.head_count, width).transpose(1, 2)

    def extra_repr(self) -> str:
        """What ``repr`` says of it."""
        return f"head_count={self.head_count}, scale={self.scale:g}"


def _heads(call: Call) -> Value:
    module = HeadAttention(int(call.attribute("head_count")), scale=float(call.attribute("scale")))
    mask = call.tensor(_MASK) if call.has(_MASK) else None
    try:
        return call.module(module, call.tensor(0), call.tensor(1), call.tensor(2), mask)
    except (RuntimeError, IndexError, ValueError) as error:
        raise LiftError(
            NOT_BY_HEADS, f"{call.operation.label} is no attention over [B,T,WIDTH]; lift it as it is"
        ) from error


def _attention(call: Call) -> Value:
    """The standard operator (opset 23) of rank 3 with as many key heads as query heads; other forms are refused."""
    heads, key_heads = call.attribute("q_num_heads"), call.attribute("kv_num_heads")
    plain = heads is not None and heads == key_heads and not call.attribute("softcap", 0.0)
    if not plain or call.has(_PAST) or call.attribute("is_causal", 0) or call.wants(1):
        call.refuse("is attention with a cache, grouped heads, a soft cap or a causal mask of its own")
    width = call.sample(0).shape[2] // int(heads)
    module = HeadAttention(int(heads), scale=float(call.attribute("scale", width**-0.5)))
    mask: Value | None = call.tensor(_MASK) if call.has(_MASK) else None
    if mask is not None and mask.sample.dtype == torch.bool:
        mask = call.call(_added, mask)
    return call.module(module, call.tensor(0), call.tensor(1), call.tensor(2), mask)


def _added(mask: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, float("-inf"))


RULES: dict[str, Rule] = {HEADS_OP: _heads, "Attention": _attention}
