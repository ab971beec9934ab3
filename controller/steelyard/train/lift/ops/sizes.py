"""Operators on sizes: where all inputs are sizes or small stored whole numbers, no tensor is made.

Only numbers and lists of them; what a rule here cannot do, the tensor's rule does after the sizes became a tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steelyard.train.lift.call import Call
from steelyard.train.lift.ops import size_functions
from steelyard.train.lift.values import Sizes, Stored, Value

SizeRule = Callable[[Call], Value | None]
_WHOLE, _FRACTIONS = frozenset({6, 7}), frozenset({1, 11})


def applies(call: Call) -> bool:
    """Return whether an operation is one on sizes."""
    values = [value for value in call.values if value is not None]
    return (
        call.operation.op_type in RULES
        and any(isinstance(value, Sizes) for value in values)
        and all(_is_size(value) for value in values)
    )


def _is_size(value: Value) -> bool:
    return isinstance(value, Sizes) or (isinstance(value, Stored) and value.tensor.dim() <= 1)


def _pair(call: Call) -> Value:
    return call.call(size_functions.paired, call.operation.op_type, call.sizes(0), call.sizes(1))


def _one(function: Callable[[Any], Any]) -> SizeRule:
    def rule(call: Call) -> Value:
        return call.call(function, call.sizes(0))

    return rule


def _gather(call: Call) -> Value | None:
    return call.call(size_functions.gather, call.sizes(0), call.sizes(1)) if call.is_stored(1) else None


def _unsqueeze(call: Call) -> Value | None:
    is_one = not isinstance(_sample(call), list)
    return call.call(size_functions.listed, call.sizes(0)) if is_one else None


def _squeeze(call: Call) -> Value | None:
    sample = _sample(call)
    is_list_of_one = isinstance(sample, list) and len(sample) == 1
    return call.call(size_functions.single, call.sizes(0)) if is_list_of_one else None


def _reshape(call: Call) -> Value | None:
    sample, target = _sample(call), call.sizes(1)
    if not isinstance(target, list) or len(target) > 1:
        return None
    if target:
        return call.call(size_functions.listed, call.sizes(0))
    return call.call(size_functions.single, call.sizes(0)) if not isinstance(sample, list) or len(sample) == 1 else None


def _concat(call: Call) -> Value:
    return call.call(size_functions.joined, [call.sizes(at) for at in range(len(call.values))])


def _slice(call: Call) -> Value | None:
    if call.attribute("starts") is not None:
        return call.call(
            size_functions.sliced, call.sizes(0), call.attribute("starts")[0], call.attribute("ends")[0], 1
        )
    if not all(call.is_stored(at) for at in (1, 2)) or (call.has(4) and not call.is_stored(4)):
        return None
    step = int(call.stored(4).reshape(-1)[0]) if call.has(4) else 1
    start, end = (int(call.stored(at).reshape(-1)[0]) for at in (1, 2))
    return call.call(size_functions.sliced, call.sizes(0), start, end, step)


def _cast(call: Call) -> Value | None:
    if call.attribute("to") in _WHOLE:
        return call.call(size_functions.whole, call.sizes(0)) if _has_fraction(call) else call.given(0)
    return call.call(size_functions.fraction, call.sizes(0)) if call.attribute("to") in _FRACTIONS else None


def _has_fraction(call: Call) -> bool:
    return any(isinstance(one, float) for one in size_functions.listed(_sample(call)))


def _where(call: Call) -> Value:
    return call.call(size_functions.chosen, *(call.sizes(at) for at in range(3)))


def _sample(call: Call) -> Any:
    sizes = call.sizes(0)
    return sizes.sample if isinstance(sizes, Sizes) else sizes


def _whole_reduction(function: Callable[[Any], Any]) -> SizeRule:
    def rule(call: Call) -> Value:
        made = call.call(function, call.sizes(0))
        return call.call(size_functions.listed, made) if call.attribute("keepdims", 1) else made

    return rule


RULES: dict[str, SizeRule] = {
    **dict.fromkeys(size_functions.PAIRED, _pair),
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Concat": _concat,
    "Slice": _slice,
    "Cast": _cast,
    "Where": _where,
    "Identity": lambda call: call.given(0),
    "ReduceProd": _whole_reduction(size_functions.product),
    "ReduceSum": _whole_reduction(size_functions.total),
    "Neg": _one(size_functions.negated),
}
