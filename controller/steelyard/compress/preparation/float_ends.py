"""What leads to the outputs of a model alone stays in float: moved, selected or decoded values, the last convolutions.

The caller gets float32 either way, and 256 values over the range of an output are few where most of that range is
background: the scores of a face detector lay between -1,000 and 3 and were all the same in 8 bits. Convolutions have no
kernel that takes 8 bits and gives float; matrix products have one (``float_outputs``), and stay in 8 bits. So do
convolutions whose results are decoded: boxes out of distances and places, scores out of logits. That arithmetic is
over little data, and each of its steps would round anew: a detector lost half a point of mAP by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.compress.preparation.end_operators import EndKinds, Placed, end_operators

if TYPE_CHECKING:
    from onnx import ModelProto

# What moves values or selects among them, and computes none.
_MOVING = frozenset({
    "ArgMax", "ArgMin", "Concat", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "ReduceMax",
    "ReduceMin", "Reshape", "Slice", "Split", "Squeeze", "TopK", "Transpose", "Unsqueeze",
})  # fmt: skip
# What decodes them. Not Relu and Clip: behind a layer they are part of its kernel.
_DECODING = frozenset({
    "Abs", "Add", "And", "Cast", "Div", "Equal", "Exp", "Expand", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    "Log", "LogSoftmax", "Max", "Min", "Mul", "Neg", "Not", "Or", "Pow", "Sigmoid", "Softmax", "Softplus", "Sqrt",
    "Sub", "Sum", "Tanh", "Where",
})  # fmt: skip
_CONVOLUTION = "Conv"
_LAYERS = frozenset({_CONVOLUTION, "ConvTranspose", "Gemm", "MatMul"})


_KINDS = EndKinds(moving=_MOVING, decoding=_DECODING, convolutions=frozenset({_CONVOLUTION}), layers=_LAYERS)


def float_ends(model: ModelProto) -> frozenset[str]:
    """Return the names of the nodes of the top graph that lead to the outputs alone; see ``end_operators``."""
    graph = model.graph
    nodes = [
        Placed(name=node.name, kind=node.op_type, inputs=tuple(node.input), outputs=tuple(node.output))
        for node in graph.node
    ]
    return end_operators(nodes, (value.name for value in graph.output), _KINDS)
