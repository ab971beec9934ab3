"""The index of a QDQ model: every quantized operator beside the float operator that it came from.

onnxruntime's quantizer names tensors after the float ones: weights ``W_quantized``, outputs of the graph
``Y_QuantizeLinear_Input`` before their Q/DQ. With unsigned activations it drops a Relu or Clip behind a layer, since
the clipping of QuantizeLinear does the same, and gives the layer's output the name of the activation's. A product that
``preparation.float_outputs`` lets give its sums in float has the output ``Y_DequantizeLinear_Output``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_OUTPUT_SUFFIX, _FLOAT_SUFFIX = "_QuantizeLinear_Input", "_DequantizeLinear_Output"
_DROPPED = frozenset({"Relu", "Clip"})
LAYER_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedTensor:
    """A stored tensor of integers behind DequantizeLinear; ``axis`` is that of its scales, None: one for all."""

    name: str
    scale_name: str
    zero_point_name: str
    axis: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A quantized operator: its node, the float node, and the activations that the quantizer dropped behind it.

    ``weight`` is set for layers with stored integer weights; ``bias`` where theirs is stored as integers.
    """

    name: str
    node: NodeProto
    float_node: NodeProto
    dropped: tuple[NodeProto, ...]
    weight: QuantizedTensor | None
    bias: QuantizedTensor | None

    @property
    def op_type(self) -> str:
        """The operator."""
        return str(self.node.op_type)


class QdqGraph:
    """A QDQ model and the folded float model that it was made from; neither is changed here."""

    def __init__(self, model: ModelProto, float_model: ModelProto) -> None:
        self.model = model
        self.float_model = float_model
        self.tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self.float_tensors = {tensor.name: tensor for tensor in float_model.graph.initializer}
        self.producers = producers(model)
        self.float_producers = producers(float_model)
        self.units = self._units()

    @property
    def layers(self) -> tuple[Unit, ...]:
        """The operators with stored integer weights, in the order of the graph."""
        return tuple(unit for unit in self.units if unit.weight is not None)

    def values(self, name: str) -> NDArray[Any]:
        """Return a stored tensor of the QDQ model."""
        return to_array(self.tensors[name])

    def float_weight(self, unit: Unit) -> NDArray[Any]:
        """Return the float weight [...] of a layer."""
        return to_array(self.float_tensors[unit.float_node.input[1]])

    def scales(self, tensor: QuantizedTensor) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return scale and zero point, float32 and int64, shaped to spread over the stored integers."""
        rank = len(self.tensors[tensor.name].dims)
        scale = np.asarray(self.values(tensor.scale_name), dtype=np.float32)
        stored = self.tensors.get(tensor.zero_point_name)
        zero = np.zeros_like(scale) if stored is None else to_array(stored)
        return _spread(scale, tensor.axis, rank), _spread(zero.astype(np.int64), tensor.axis, rank)

    def dequantized(self, tensor: QuantizedTensor) -> NDArray[Any]:
        """Return the numbers float32 that stored integers stand for."""
        scale, zero = self.scales(tensor)
        return np.asarray((self.values(tensor.name).astype(np.int64) - zero) * scale, dtype=np.float32)

    def before_quantization(self, name: str) -> str:
        """Return the tensor that Q/DQ pairs before ``name`` began with; ``name`` itself when there are none."""
        return before_quantization(self.producers, name)

    def _units(self) -> tuple[Unit, ...]:
        found: list[Unit] = []
        names = Counter(node.name for node in self.float_model.graph.node)
        for node in self.model.graph.node:
            if node.op_type in {QUANTIZE, DEQUANTIZE} or not any(self._dequantized_by(name) for name in node.input):
                continue
            pair = self._float_pair(node)
            if pair is None:
                if node.op_type in LAYER_OPS:
                    raise CompressionInputError(
                        "unmatched_model",
                        f"the layer with the output {node.output[0]!r} has no counterpart in the float model; start "
                        "the recipe from the float model and put static-int8 and the repair into the same recipe",
                    )
                continue
            float_node, dropped = pair
            is_named = float_node.name and names[float_node.name] == 1
            is_layer = node.op_type in LAYER_OPS and float_node.input[1] in self.float_tensors
            found.append(
                Unit(
                    name=float_node.name if is_named else float_node.output[0],
                    node=node,
                    float_node=float_node,
                    dropped=dropped,
                    weight=self._stored(node, 1) if is_layer else None,
                    bias=self._stored(node, 2) if is_layer else None,
                )
            )
        return tuple(found)

    def _float_pair(self, node: NodeProto) -> tuple[NodeProto, tuple[NodeProto, ...]] | None:
        """Return the float node of a quantized one, and the activations dropped behind it in order."""
        dropped: list[NodeProto] = []
        output = node.output[0]
        if output not in self.float_producers:
            output = output.removesuffix(_OUTPUT_SUFFIX).removesuffix(_FLOAT_SUFFIX)
        found = self.float_producers.get(output)
        while found is not None and found.op_type != node.op_type and found.op_type in _DROPPED:
            dropped.insert(0, found)
            found = self.float_producers.get(found.input[0])
        return (found, tuple(dropped)) if found is not None and found.op_type == node.op_type else None

    def _dequantized_by(self, name: str) -> NodeProto | None:
        node = self.producers.get(name)
        return node if node is not None and node.op_type == DEQUANTIZE else None

    def _stored(self, node: NodeProto, index: int) -> QuantizedTensor | None:
        dequantize = self._dequantized_by(node.input[index]) if len(node.input) > index else None
        if dequantize is None or dequantize.input[0] not in self.tensors:
            return None
        scale_name = dequantize.input[1]
        is_one = int(np.prod(self.tensors[scale_name].dims)) == 1
        axis = next((one.i for one in dequantize.attribute if one.name == "axis"), 1)
        rank = len(self.tensors[dequantize.input[0]].dims)
        return QuantizedTensor(
            name=dequantize.input[0],
            scale_name=scale_name,
            zero_point_name=dequantize.input[2] if len(dequantize.input) > 2 else "",
            axis=None if is_one else min(int(axis) % max(rank, 1), rank - 1),
        )


def producers(model: ModelProto) -> Mapping[str, NodeProto]:
    """Return the node that gives each tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def before_quantization(producer: Mapping[str, NodeProto], name: str) -> str:
    """Return the tensor that Q/DQ pairs before ``name`` began with; ``name`` itself when there are none."""
    while (node := producer.get(name)) is not None and node.op_type == DEQUANTIZE:
        quantize = producer.get(node.input[0])
        if quantize is None or quantize.op_type != QUANTIZE:
            break
        name = quantize.input[0]
    return name


def to_array(tensor: TensorProto) -> NDArray[Any]:
    """Return the values of a stored tensor."""
    from onnx import numpy_helper

    array: NDArray[Any] = numpy_helper.to_array(tensor)
    return array


def _spread(values: NDArray[Any], axis: int | None, rank: int) -> NDArray[Any]:
    if axis is None:
        return values.reshape([1] * rank) if rank else values.reshape(())
    shape = [1] * rank
    shape[axis] = values.size
    return values.reshape(shape)
