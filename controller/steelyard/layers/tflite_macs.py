"""Multiply-accumulates of TFLite operators, by the shapes of their tensors.

Weights lie as the kernels want them: a convolution's are [outputs, height, width, inputs of a group], a depthwise one's
[1, height, width, outputs], a fully connected layer's [outputs, inputs].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from steelyard.layers.tflite_graph import TfliteOperator, TfliteTensor
from steelyard.layers.tflite_names import CUSTOM

# The tensors of an operator in order, None for an input that is left out.
_Tensors = Sequence[TfliteTensor | None]
_OF_GRAPHS = frozenset({"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE"})
_NO_RULE = frozenset({"BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "RFFT2D", "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_CONVOLUTION", "DELEGATE"})  # fmt: skip
_DEPTHWISE = "DEPTHWISE_CONV_2D"


def count_macs(operator: TfliteOperator, inputs: _Tensors, outputs: _Tensors) -> tuple[int | None, str]:
    """Return the multiply-accumulates of an operator, or None and why they are not known."""
    rule = _RULES.get(operator.kind)
    if rule is not None:
        count = rule(inputs, outputs)
        return count, "" if count is not None else "its tensors are not those of its kind"
    if operator.kind in _OF_GRAPHS:
        return None, "which of its graphs runs, and how often, is not in the file"
    if operator.kind in _NO_RULE or operator.kind.startswith((CUSTOM, "BUILTIN_")):
        return None, f"no rule for {operator.kind}"
    return 0, ""


def weight_index(kind: str) -> int | None:
    """Return which input holds the weights of an operator, None for one that multiplies nothing up."""
    return _WEIGHT_AT.get(kind)


def is_depthwise(kind: str) -> bool:
    """Return whether an operator convolves every channel by itself."""
    return kind == _DEPTHWISE


def _get(tensors: _Tensors, at: int) -> TfliteTensor | None:
    return tensors[at] if at < len(tensors) else None


def _made_by_kernel(taps: Callable[[tuple[int, ...]], int], weight_at: int = 1) -> _Rule:
    def rule(inputs: _Tensors, outputs: _Tensors) -> int | None:
        made, weight = _get(outputs, 0), _get(inputs, weight_at)
        return None if made is None or weight is None or not weight.shape else made.size * taps(weight.shape)

    return rule


def _given_to_kernel(taps: Callable[[tuple[int, ...]], int]) -> _Rule:
    # Shape of the output, weights, input: each element of the input meets every tap.
    def rule(inputs: _Tensors, _outputs: _Tensors) -> int | None:
        weight, given = _get(inputs, 1), _get(inputs, 2)
        return None if weight is None or given is None or not weight.shape else given.size * taps(weight.shape)

    return rule


def _batch_matmul(inputs: _Tensors, outputs: _Tensors) -> int | None:
    left, made = _get(inputs, 0), _get(outputs, 0)
    if left is None or made is None or min(len(left.shape), len(made.shape)) < 2 or not made.shape[-2]:
        return None
    # However the left side is turned, it holds as many rows as the output, times the depth.
    return made.size * (left.shape[-1] * left.shape[-2] // made.shape[-2])


def _recurrent(weights: Sequence[int]) -> _Rule:
    """Return a rule for layers that multiply every step with all of their matrices; an input's width is a matrix's."""

    def rule(inputs: _Tensors, _outputs: _Tensors) -> int | None:
        given = _get(inputs, 0)
        matrices = [tensor for at in weights if (tensor := _get(inputs, at)) is not None and len(tensor.shape) == 2]
        if given is None or not matrices or not given.shape or not given.shape[-1]:
            return None
        steps = given.size // given.shape[-1]
        return steps * sum(matrix.size for matrix in matrices)

    return rule


_Rule = Callable[[_Tensors, _Tensors], int | None]
_RULES: Mapping[str, _Rule] = {
    "CONV_2D": _made_by_kernel(lambda shape: math.prod(shape[1:])),
    _DEPTHWISE: _made_by_kernel(lambda shape: math.prod(shape[1:-1])),
    # Its kernels lie as depth, height, width, inputs, outputs.
    "CONV_3D": _made_by_kernel(lambda shape: math.prod(shape[:-1])),
    "FULLY_CONNECTED": _made_by_kernel(lambda shape: shape[-1]),
    "TRANSPOSE_CONV": _given_to_kernel(lambda shape: math.prod(shape[:-1])),
    # Here outputs come before inputs.
    "CONV_3D_TRANSPOSE": _given_to_kernel(lambda shape: math.prod(shape[:-1])),
    "BATCH_MATMUL": _batch_matmul,
    # Input to the four gates, output to the four gates, and the projection of the output.
    "LSTM": _recurrent((1, 2, 3, 4, 5, 6, 7, 8, 16)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent((1, 2, 3, 4, 5, 6, 7, 8, 16)),
    "RNN": _recurrent((1, 2)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent((1, 2)),
    # A filter over the features, then one over time.
    "SVDF": _recurrent((1, 2)),
}
_WEIGHT_AT = {**dict.fromkeys(_RULES, 1), "LSTM": 2, "UNIDIRECTIONAL_SEQUENCE_LSTM": 2}
