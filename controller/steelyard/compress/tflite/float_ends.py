"""Operators that lead to the outputs of a TFLite model alone stay in float: its heads, and what moves their values.

Why: see ``steelyard.compress.preparation.float_ends``. Arithmetic behind the last layers stays in 8 bits here, where
LiteRT has kernels for it.
"""

from __future__ import annotations

from steelyard.compress.preparation.end_operators import EndKinds, Placed, end_operators
from steelyard.compress.tflite.graph import WEIGHT_INPUTS, Graph, inputs_of, outputs_of

_MOVING = frozenset({
    "ARG_MAX", "ARG_MIN", "CONCATENATION", "EXPAND_DIMS", "GATHER", "GATHER_ND", "PACK", "REDUCE_MAX", "REDUCE_MIN",
    "RESHAPE", "SLICE", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TOPK_V2", "TRANSPOSE", "UNPACK",
})  # fmt: skip
_KINDS = EndKinds(
    moving=_MOVING, decoding=frozenset(), convolutions=frozenset({"CONV_2D"}), layers=frozenset(WEIGHT_INPUTS)
)


def float_ends(graph: Graph) -> tuple[str, ...]:
    """Return the names of the first results of those operators, in the order of the graph; see ``end_operators``."""
    operators = [
        Placed(
            name=str(place),
            kind=graph.kind(one),
            inputs=tuple(map(str, inputs_of(one))),
            outputs=tuple(map(str, outputs_of(one))),
        )
        for place, one in enumerate(graph.operators)
    ]
    ends = end_operators(operators, map(str, graph.outputs), _KINDS)
    return tuple(graph.name(outputs_of(one)[0]) for place, one in enumerate(graph.operators) if str(place) in ends)
