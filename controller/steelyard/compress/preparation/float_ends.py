"""What leads to the outputs of a model alone stays in float: moved, selected or decoded values, the last convolutions.

The caller gets float32 either way, and 256 values over the range of an output are few where most of that range is
background: the scores of a face detector lay between -1,000 and 3 and were all the same in 8 bits. Convolutions have no
kernel that takes 8 bits and gives float; matrix products have one (``float_outputs``), and stay in 8 bits. So do
convolutions whose results are decoded: boxes out of distances and places, scores out of logits. That arithmetic is
over little data, and each of its steps would round anew: a detector lost half a point of mAP by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

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


def float_ends(model: ModelProto) -> frozenset[str]:
    """Return the names of the nodes of the top graph whose results reach the outputs as they are.

    The convolutions among them are left out where nothing else would be left to quantize, as is arithmetic where there
    is no layer in front of it.
    """
    outputs = {value.name for value in model.graph.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    moving: set[str] = set()
    decoding: set[str] = set()
    convolutions: set[str] = set()
    for node in reversed(model.graph.node):
        following = [reader.name for name in node.output for reader in readers.get(name, [])]
        if not following and outputs.isdisjoint(node.output):
            continue
        if moving.issuperset(following) and node.op_type in _MOVING | {_CONVOLUTION}:
            (moving if node.op_type in _MOVING else convolutions).add(node.name)
        elif (moving | decoding).issuperset(following) and node.op_type in _MOVING | _DECODING:
            decoding.add(node.name)
    layers = {node.name for node in model.graph.node if node.op_type in _LAYERS}
    ends = moving | decoding if layers else moving
    return frozenset(ends | convolutions if layers - convolutions else ends)
