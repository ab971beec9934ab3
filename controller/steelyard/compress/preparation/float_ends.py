"""What leads to the outputs of a model alone stays in float: moved or selected values, and the last convolutions.

The caller gets float32 either way, and 256 values over the range of an output are few where most of that range is
background: the scores of a face detector lay between -1,000 and 3 and were all the same in 8 bits. Convolutions have no
kernel that takes 8 bits and gives float; matrix products have one (``float_outputs``), and stay in 8 bits.
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
_CONVOLUTION = "Conv"
_LAYERS = frozenset({_CONVOLUTION, "ConvTranspose", "Gemm", "MatMul"})


def float_ends(model: ModelProto) -> frozenset[str]:
    """Return the names of the nodes of the top graph whose results reach the outputs as they are.

    The convolutions among them are left out where nothing else would be left to quantize.
    """
    outputs = {value.name for value in model.graph.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    moving: set[str] = set()
    convolutions: set[str] = set()
    for node in reversed(model.graph.node):
        if node.op_type not in _MOVING and node.op_type != _CONVOLUTION:
            continue
        following = [reader for name in node.output for reader in readers.get(name, [])]
        is_read = bool(following) or not outputs.isdisjoint(node.output)
        if is_read and all(reader.name in moving for reader in following):
            (moving if node.op_type in _MOVING else convolutions).add(node.name)
    layers = {node.name for node in model.graph.node if node.op_type in _LAYERS}
    return frozenset(moving | convolutions if layers - convolutions else moving)
