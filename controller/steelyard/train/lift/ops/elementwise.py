"""Arithmetic, comparisons and logic, element by element."""

from __future__ import annotations

from typing import Any

import torch

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.ops.activation import unary
from steelyard.train.lift.values import Value

# TensorProto.DataType -> torch; the types that a trainable graph may hold.
DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip


def _binary(function: Any) -> Rule:
    def rule(call: Call) -> Value:
        return call.call(function, call.tensor(0), call.tensor(1))

    return rule


def _folded(function: Any) -> Rule:
    """Return the rule of an operator that takes any count of tensors."""

    def rule(call: Call) -> Value:
        return _reduced(call, function)

    return rule


def _reduced(call: Call, function: Any) -> Value:
    first, *others = call.tensors()
    made: Value = first
    for other in others:
        made = call.call(function, made, other)
    return made


def _mean(call: Call) -> Value:
    return call.call(torch.div, _reduced(call, torch.add), float(len(call.tensors())))


def divided(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the quotient, of whole numbers cut towards zero."""
    return left / right if left.is_floating_point() else torch.div(left, right, rounding_mode="trunc")


def _power(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.pow(left, right).to(left.dtype)


def _pow(call: Call) -> Value:
    if call.is_stored(1) and call.stored(1).numel() == 1 and call.stored(1).dim() <= call.sample(0).dim():
        exponent = call.stored(1).item()
        whole = float(exponent).is_integer()
        return call.call(torch.pow, call.tensor(0), int(exponent) if whole else exponent)
    return call.call(_power, call.tensor(0), call.tensor(1))


def _mod(call: Call) -> Value:
    return call.call(torch.fmod if call.attribute("fmod", 0) else torch.remainder, call.tensor(0), call.tensor(1))


def _cast(call: Call) -> Value:
    to = call.attribute("to")
    if to not in DTYPES:
        call.refuse(f"casts to the type number {to}, which PyTorch does not train with")
    return call.call(torch.Tensor.to, call.tensor(0), DTYPES[to])


def _cast_like(call: Call) -> Value:
    return call.call(torch.Tensor.to, call.tensor(0), call.sample(1).dtype)


def _is_inf(call: Call) -> Value:
    positive, negative = call.attribute("detect_positive", 1), call.attribute("detect_negative", 1)
    if positive and negative:
        return call.call(torch.isinf, call.tensor(0))
    return call.call(torch.isposinf if positive else torch.isneginf, call.tensor(0))


def _shift(call: Call) -> Value:
    left = call.attribute("direction") == "LEFT"
    return call.call(torch.bitwise_left_shift if left else torch.bitwise_right_shift, call.tensor(0), call.tensor(1))


def _where(call: Call) -> Value:
    return call.call(torch.where, call.tensor(0), call.tensor(1), call.tensor(2))


def _identity(call: Call) -> Value:
    return call.given(0)


RULES: dict[str, Rule] = {
    **{name: unary(function) for name, function in {
        "Neg": torch.neg, "Abs": torch.abs, "Sqrt": torch.sqrt, "Exp": torch.exp, "Log": torch.log,
        "Reciprocal": torch.reciprocal, "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round,
        "Sign": torch.sign, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Asin": torch.asin,
        "Acos": torch.acos, "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh,
        "Acosh": torch.acosh, "Atanh": torch.atanh, "Erf": torch.erf, "Not": torch.logical_not, "IsNaN": torch.isnan,
        "BitwiseNot": torch.bitwise_not,
    }.items()},
    **{name: _binary(function) for name, function in {
        "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": divided, "Equal": torch.eq,
        "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le,
        "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor, "BitwiseAnd": torch.bitwise_and,
        "BitwiseOr": torch.bitwise_or, "BitwiseXor": torch.bitwise_xor,
    }.items()},
    "Sum": _folded(torch.add),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Mean": _mean,
    "Pow": _pow,
    "Mod": _mod,
    "Cast": _cast,
    "CastLike": _cast_like,
    "IsInf": _is_inf,
    "BitShift": _shift,
    "Where": _where,
    "Identity": _identity,
}  # fmt: skip
