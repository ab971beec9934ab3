"""Matrix products: linear layers where the weight is stored, products elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Value


def _matmul(call: Call) -> Value:
    """A third input is the bias that a following Add would have added (``patterns.linear``)."""
    if not call.is_stored(1) or call.stored(1).dim() != 2 or not call.stored(1).is_floating_point():
        product = call.call(torch.matmul, call.tensor(0), call.tensor(1))
        return call.call(torch.add, product, call.tensor(2)) if call.has(2) else product
    if call.is_stored(0):
        return call.call(torch.matmul, call.tensor(0), call.tensor(1))
    return call.module(_linear(call, call.stored(1).T, form=":T"), call.tensor(0))


def _gemm(call: Call) -> Value:
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    turned = call.attribute("transA", 0)
    plain_bias = not call.has(2) or (call.is_stored(2) and call.stored(2).numel() == call.stored(2).shape[-1:].numel())
    if not call.is_stored(1) or not plain_bias or turned:
        return _product(call, alpha, beta)
    weight, form = (call.stored(1), "") if call.attribute("transB", 0) else (call.stored(1).T, ":T")
    if alpha != 1.0:
        weight, form = weight * alpha, f"{form}:{alpha}"
    return call.module(_linear(call, weight, form=form, beta=beta), call.tensor(0))


def _product(call: Call, alpha: float, beta: float) -> Value:
    left = call.call(torch.t, call.tensor(0)) if call.attribute("transA", 0) else call.tensor(0)
    right = call.call(torch.t, call.tensor(1)) if call.attribute("transB", 0) else call.tensor(1)
    product = call.call(torch.matmul, left, right)
    product = product if alpha == 1.0 else call.call(torch.mul, product, alpha)
    if not call.has(2):
        return product
    bias = call.tensor(2) if beta == 1.0 else call.call(torch.mul, call.tensor(2), beta)
    return call.call(torch.add, product, bias)


def _linear(call: Call, weight: torch.Tensor, *, form: str, beta: float = 1.0) -> Any:
    """Return the layer; ``weight`` [OUT, IN] as torch keeps it, tied by where it came from."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=call.has(2), dtype=weight.dtype)
    layer.weight = call.weight(1, weight.contiguous(), form=form)
    if call.has(2):
        bias = (call.stored(2) * beta).reshape(-1).expand(weight.shape[0])
        layer.bias = call.weight(2, bias, form=f":{beta}:{weight.shape[0]}")
    return layer


def _einsum(call: Call) -> Value:
    return call.call(torch.einsum, call.attribute("equation"), *call.tensors())


RULES: dict[str, Rule] = {"MatMul": _matmul, "Gemm": _gemm, "Einsum": _einsum}
