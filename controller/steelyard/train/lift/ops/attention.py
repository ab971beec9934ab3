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
# Keys and values with those before them, and the scores.
_MORE_OUTPUTS = (1, 2, 3)


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
    """The standard operator (opset 23): as a layer where it can be one, else operation by operation."""
    if call.has(_PAST) or any(call.wants(at) for at in _MORE_OUTPUTS) or call.attribute("softcap", 0.0):
        call.refuse("is attention with a cache, a soft cap or scores that are an output")
    heads, key_heads = call.attribute("q_num_heads"), call.attribute("kv_num_heads")
    is_causal = bool(call.attribute("is_causal", 0))
    query, key, value = (call.tensor(at) for at in range(3))
    if heads is not None and heads == key_heads and not is_causal:
        width = query.sample.shape[2] // int(heads)
        module = HeadAttention(int(heads), scale=float(call.attribute("scale") or width**-0.5))
        return call.module(module, query, key, value, _mask(call))
    if heads is None:
        return _by_head(call, query, key, value, is_causal=is_causal)
    counts = (int(heads), int(key_heads), int(key_heads))
    parted = [call.call(_parted, one, count) for one, count in zip((query, key, value), counts, strict=True)]
    return call.call(_put_together, _by_head(call, *parted, is_causal=is_causal))


def _mask(call: Call) -> Value | None:
    """Return what is added to the scores, None for nothing."""
    mask: Value | None = call.tensor(_MASK) if call.has(_MASK) else None
    return call.call(_added, mask) if mask is not None and mask.sample.dtype == torch.bool else mask


def _by_head(call: Call, query: Value, key: Value, value: Value, *, is_causal: bool) -> Value:
    """Return [B,H,T,D] of queries [B,H,T,D] and keys and values [B,G,S,D]; each of the G is for H/G heads."""
    each, over = divmod(query.sample.shape[1], key.sample.shape[1])
    if over:
        call.refuse(f"has {query.sample.shape[1]} heads of queries for {key.sample.shape[1]} of keys")
    if each > 1:
        key, value = (call.call(torch.repeat_interleave, one, each, 1) for one in (key, value))
    scores = call.call(torch.matmul, query, call.call(torch.transpose, key, -1, -2))
    scores = call.call(torch.mul, scores, float(call.attribute("scale") or query.sample.shape[3] ** -0.5))
    mask = _mask(call)
    scores = scores if mask is None else call.call(torch.add, scores, mask)
    scores = call.call(_looking_back, scores) if is_causal else scores
    return call.call(torch.matmul, call.call(torch.softmax, scores, dim=3), value)


def _parted(values: torch.Tensor, head_count: int) -> torch.Tensor:
    return values.unflatten(2, (head_count, -1)).transpose(1, 2)


def _put_together(values: torch.Tensor) -> torch.Tensor:
    return values.transpose(1, 2).flatten(2)


def _looking_back(scores: torch.Tensor) -> torch.Tensor:
    """Let each step see itself and those before it."""
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(hidden, float("-inf"))


def _added(mask: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, float("-inf"))


RULES: dict[str, Rule] = {HEADS_OP: _heads, "Attention": _attention}
