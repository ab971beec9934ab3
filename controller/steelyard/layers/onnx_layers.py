"""The layers of an ONNX model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from steelyard.layers.contract import Layer, LayerTable, Shapes, refuse_unknown_inputs
from steelyard.layers.onnx_macs import count_macs, is_depthwise, weight_input
from steelyard.layers.onnx_shapes import Tensors, attributes, known_tensors

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# What hands a stored tensor on: the node that reads it in the end has the parameters.
_CARRIERS = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Identity", "Transpose", "Reshape", "Unsqueeze"})
# Scales and zero points, by operator and the place of the input.
_QUANTIZATION = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"), frozenset({1, 2, 4, 5, 6, 7})),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul"), frozenset({2, 3})),
    "QGemm": frozenset({1, 2, 4, 5, 7, 8}),
    "MatMulIntegerToFloat": frozenset({2, 3, 4, 5}),
    "MatMulNBits": frozenset({2, 3, 4}),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), frozenset({1, 2})),
    **dict.fromkeys(
        (
            "QLinearSigmoid",
            "QLinearLeakyRelu",
            "QLinearSoftmax",
            "QLinearGlobalAveragePool",
            "QLinearAveragePool",
        ),
        frozenset({1, 2, 3, 4}),
    ),
}
_FOR_BIASES = frozenset({"QLinearConv", "QGemm", "ConvInteger", "MatMulInteger"})
# Their stored inputs are settings, not weights.
_SET_BY_INPUTS = frozenset(
    {"Clip", "Pad", "Resize", "Upsample", "Range", "OneHot", "Slice", "Tile", "TopK", "QLinearConcat"}
)


def onnx_layers(model: ModelProto, *, input_shapes: Shapes, batch_size: int) -> LayerTable:
    """Return the layers of a model; functions of its own are taken apart first.

    Args:
        model: with its weights inside, or at least their shapes.
        input_shapes: sizes of dynamic inputs by name.
        batch_size: of a leading dynamic dimension that is not named.

    Raises:
        UsageError: a size was given for an input that the model does not have.
    """
    refuse_unknown_inputs(input_shapes, [value.name for value in model.graph.input])
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
    tensors = known_tensors(model, input_shapes, batch_size)
    origins = _Origins(model, tensors)
    layers, counted = [], {}
    for index, node in enumerate(model.graph.node):
        if node.op_type == "Constant" and not node.domain:
            continue
        own = origins.parameters(node)
        counted.update(own)
        layers.append(_layer(index, node, tensors, origins, sum(own.values())))
    return LayerTable(layers=tuple(layers), parameter_count=sum(counted.values()))


def _layer(index: int, node: NodeProto, tensors: Tensors, origins: _Origins, parameter_count: int) -> Layer:
    macs = count_macs(node, tensors)
    return Layer(
        index=index,
        # What ONNX Runtime calls a node without a name.
        name=node.name or f"{node.op_type}_{index}",
        kind=node.op_type,
        inputs=tuple(name for name in node.input if name),
        outputs=tuple(name for name in node.output if name),
        mac_count=macs.count,
        parameter_count=parameter_count,
        byte_count=_byte_count(node, tensors),
        weight_dtype=origins.dtype(weight_input(node)),
        weight_shape=tuple(tensors.shape(weight_input(node)) or ()),
        is_depthwise=is_depthwise(node, tensors),
        reason=macs.reason,
    )


def _byte_count(node: NodeProto, tensors: Tensors) -> int | None:
    counts = [tensors.byte_count(name) for name in dict.fromkeys((*node.input, *node.output)) if name]
    return None if None in counts else sum(count or 0 for count in counts)


class _Origins:
    """Where inputs come from: stored tensors, followed through what only hands them on."""

    def __init__(self, model: ModelProto, tensors: Tensors) -> None:
        self._tensors = tensors
        self._makers = {name: node for node in model.graph.node for name in node.output if name}

    def parameters(self, node: NodeProto) -> dict[str, int]:
        """Return the elements of each stored tensor that is a weight or bias of a node, by name."""
        if node.op_type in _SET_BY_INPUTS or node.op_type in _CARRIERS:
            return {}
        skipped = _QUANTIZATION.get(node.op_type, frozenset())
        found: dict[str, int] = {}
        for at, name in enumerate(node.input):
            origin = self._origin(name)
            if at in skipped or not origin or not self._is_parameter(node, name, origin):
                continue
            found[origin] = math.prod(self._tensors.stored[origin].dims)
            if node.op_type == "MatMulNBits" and at == 1:
                given = attributes(node)
                found[origin] = int(given["K"]) * int(given["N"])
        return found

    def dtype(self, name: str) -> str:
        """Return the numpy name of the stored type of what comes in under a name, "" for what is not stored."""
        import onnx

        origin = self._origin(name)
        if not origin:
            return ""
        return str(onnx.helper.tensor_dtype_to_np_dtype(self._tensors.stored[origin].data_type).name)

    def _origin(self, name: str) -> str:
        seen: set[str] = set()
        while name and name not in self._tensors.stored and name not in seen:
            seen.add(name)
            maker = self._makers.get(name)
            name = maker.input[0] if maker is not None and maker.op_type in _CARRIERS and maker.input else ""
        return name if name in self._tensors.stored else ""

    def _is_parameter(self, node: NodeProto, name: str, origin: str) -> bool:
        import onnx

        kind = self._tensors.stored[origin].data_type
        if kind in (onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING):
            return False
        # Whole numbers of 32 bits are biases of quantized layers, elsewhere mostly shapes and indices.
        return kind != onnx.TensorProto.INT32 or name != origin or node.op_type in _FOR_BIASES
