"""Shapes and types of every tensor of an ONNX graph, as far as they follow from its inputs.

The standard's operators are inferred by the onnx package. Those that ONNX Runtime's quantizers bring (com.microsoft) it
does not know: their rules are here, and both take turns until nothing new is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steelyard.layers.contract import Shapes
from steelyard.layers.onnx_sizes import fold_sizes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

Shape = tuple[int, ...]
STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
# A chain of foreign operators is found one link a turn at worst.
_MOST_TURNS = 64


@dataclass(slots=True)
class Tensors:
    """What is known of tensors by name: shapes, element types (of onnx.TensorProto), and the stored ones."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    stored: dict[str, TensorProto] = field(default_factory=dict)

    def shape(self, name: str) -> Shape | None:
        """Return a shape, None where it is not known."""
        return self.shapes.get(name)

    def size(self, name: str) -> int | None:
        """Return the number of elements, None where it is not known."""
        shape = self.shape(name)
        return None if shape is None else math.prod(shape)

    def byte_count(self, name: str) -> int | None:
        """Return the bytes of a tensor, packed types rounded up; None where they are not known."""
        size, kind = self.size(name), self.types.get(name, 0)
        bits = _bits(kind)
        return None if size is None or bits is None else (size * bits + 7) // 8


def known_tensors(model: ModelProto, input_shapes: Shapes, batch_size: int) -> Tensors:
    """Return what is known of the tensors of ``model``, whose dynamic inputs have these sizes.

    A leading dynamic dimension that is not named is ``batch_size``; other ones stay unknown.
    """
    import onnx

    model = _copy_with(model, input_shapes, batch_size)
    tensors = Tensors(stored=_stored(model))
    for name, tensor in tensors.stored.items():
        tensors.shapes[name], tensors.types[name] = tuple(tensor.dims), tensor.data_type
    for turn in range(_MOST_TURNS):
        # Sizes that contradict the model show in the first turn; what is evaluated may be narrower than declared.
        strict = bool(input_shapes) and turn == 0
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True, strict_mode=strict)
        for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
            _learn(tensors, value)
        sizes = fold_sizes(model, tensors.shapes)
        for name, tensor in sizes.items():
            tensors.shapes[name], tensors.types[name] = tuple(tensor.dims), tensor.data_type
        found = _foreign(model, tensors)
        if not found and not sizes:
            break
        known = {value.name for value in model.graph.value_info}
        model.graph.value_info.extend(value for name, value in found.items() if name not in known)
    return tensors


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    import onnx

    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def _copy_with(model: ModelProto, input_shapes: Shapes, batch_size: int) -> ModelProto:
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        given = input_shapes.get(value.name)
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if given is not None and axis < len(given):
                dim.dim_value = int(given[axis])
            elif axis == 0 and not (dim.HasField("dim_value") and dim.dim_value > 0):
                dim.dim_value = batch_size
    # What exporters wrote of them was for other sizes, or for none.
    if any(dim.HasField("dim_param") for value in copy.graph.output for dim in value.type.tensor_type.shape.dim):
        for value in copy.graph.output:
            value.type.tensor_type.ClearField("shape")
    del copy.graph.value_info[:]
    return copy


def _stored(model: ModelProto) -> dict[str, TensorProto]:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.domain in STANDARD_DOMAINS:
            for attribute in node.attribute:
                if attribute.name == "value":
                    stored[node.output[0]] = attribute.t
    return stored


def _learn(tensors: Tensors, value: ValueInfoProto) -> None:
    kind = value.type.tensor_type
    if kind.elem_type:
        tensors.types[value.name] = kind.elem_type
    if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
        tensors.shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)


def _foreign(model: ModelProto, tensors: Tensors) -> dict[str, ValueInfoProto]:
    """Return what the rules here newly tell of outputs."""
    import onnx

    found: dict[str, ValueInfoProto] = {}
    for node in model.graph.node:
        if node.domain in STANDARD_DOMAINS or not node.output or node.output[0] in tensors.shapes:
            continue
        rule = _RULES.get(node.op_type)
        told = rule(node, tensors) if rule is not None else None
        if told is None:
            continue
        kind, shape = told
        name = node.output[0]
        tensors.shapes[name], tensors.types[name] = shape, kind
        found[name] = onnx.helper.make_tensor_value_info(name, kind, shape)
    return found


_Told = tuple[int, Shape] | None


def _like_first(node: NodeProto, tensors: Tensors) -> _Told:
    shape = tensors.shape(node.input[0])
    return None if shape is None else (tensors.types.get(node.input[0], 0), shape)


def _quantized(node: NodeProto, tensors: Tensors) -> _Told:
    shape = tensors.shape(node.input[0])
    return None if shape is None else (tensors.types.get(node.input[2], 0) if len(node.input) > 2 else 0, shape)


def _dequantized(node: NodeProto, tensors: Tensors) -> _Told:
    shape = tensors.shape(node.input[0])
    return None if shape is None else (tensors.types.get(node.input[1], 0), shape)


def _broadcast(node: NodeProto, tensors: Tensors) -> _Told:
    left, right = tensors.shape(node.input[0]), tensors.shape(node.input[3])
    if left is None or right is None:
        return None
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    return tensors.types.get(node.input[0], 0), tuple(max(pair) for pair in pairs)


def _product(right_at: int) -> Callable[[NodeProto, Tensors], _Told]:
    def rule(node: NodeProto, tensors: Tensors) -> _Told:
        given = attributes(node)
        left, right = tensors.shape(node.input[0]), tensors.shape(node.input[right_at])
        if left is None or right is None or min(len(left), len(right)) < 2:
            return None
        rows = left[-1] if given.get("transA") else left[-2]
        columns = right[-2] if given.get("transB") else right[-1]
        batch = left[:-2] if len(left) >= len(right) else right[:-2]
        return _product_type(node, tensors), (*batch, rows, columns)

    return rule


def _product_type(node: NodeProto, tensors: Tensors) -> int:
    import onnx

    # QGemm gives floats where no scale of its output is named.
    stays = node.op_type == "FusedMatMul" or (node.op_type == "QGemm" and len(node.input) > 7 and node.input[7])
    return tensors.types.get(node.input[0], 0) if stays else int(onnx.TensorProto.FLOAT)


def _packed_product(node: NodeProto, tensors: Tensors) -> _Told:
    shape = tensors.shape(node.input[0])
    columns = attributes(node).get("N")
    return None if shape is None or columns is None else (tensors.types.get(node.input[0], 0), (*shape[:-1], columns))


def _concatenated(node: NodeProto, tensors: Tensors) -> _Told:
    # Scale and zero point of the output, then tensor, scale and zero point of each part.
    names = node.input[2::3]
    shapes = [tensors.shape(name) for name in names]
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) < len(shapes):
        return None
    axis = attributes(node).get("axis", 0) % len(known[0])
    total = sum(shape[axis] for shape in known)
    return tensors.types.get(names[0], 0), (*known[0][:axis], total, *known[0][axis + 1 :])


def _pooled_whole(node: NodeProto, tensors: Tensors) -> _Told:
    shape = tensors.shape(node.input[0])
    if shape is None or len(shape) < 3:
        return None
    ones = (1,) * (len(shape) - 2)
    channels_last = attributes(node).get("channels_last", 0)
    made = (shape[0], *ones, shape[-1]) if channels_last else (*shape[:2], *ones)
    return tensors.types.get(node.input[0], 0), made


def _as_standard(kind: str, inputs: Callable[[NodeProto], list[str]]) -> Callable[[NodeProto, Tensors], _Told]:
    """Return a rule by that of a standard operator with the same attributes."""

    def rule(node: NodeProto, tensors: Tensors) -> _Told:
        import onnx

        schema = onnx.defs.get_schema(kind)
        names = inputs(node)
        if any(tensors.shape(name) is None for name in names):
            return None
        twin = onnx.helper.make_node(kind, names, list(node.output[:1]))
        twin.attribute.extend(one for one in node.attribute if one.name in schema.attributes)
        types = {
            name: onnx.helper.make_tensor_type_proto(tensors.types.get(name, 0), tensors.shapes[name]) for name in names
        }
        try:
            made = onnx.shape_inference.infer_node_outputs(schema, twin, types)
        except onnx.shape_inference.InferenceError:
            return None
        value = onnx.helper.make_value_info(node.output[0], made[node.output[0]])
        told = Tensors()
        _learn(told, value)
        shape = told.shape(node.output[0])
        return None if shape is None else (tensors.types.get(names[0], 0), shape)

    return rule


_RULES: Mapping[str, Callable[[Any, Tensors], _Told]] = {
    **dict.fromkeys(
        (
            "QLinearSigmoid",
            "QLinearLeakyRelu",
            "QLinearSoftmax",
            "Gelu",
            "FastGelu",
            "BiasGelu",
            "QuickGelu",
            "SkipLayerNormalization",
        ),
        _like_first,
    ),
    "QuantizeLinear": _quantized,
    "DequantizeLinear": _dequantized,
    "QLinearAdd": _broadcast,
    "QLinearMul": _broadcast,
    "QGemm": _product(3),
    "MatMulIntegerToFloat": _product(1),
    "DynamicQuantizeMatMul": _product(1),
    "FusedMatMul": _product(1),
    "MatMulNBits": _packed_product,
    "QLinearConcat": _concatenated,
    "QLinearGlobalAveragePool": _pooled_whole,
    "QLinearAveragePool": _as_standard("AveragePool", lambda node: [node.input[0]]),
    "FusedConv": _as_standard("Conv", lambda node: list(node.input[:2])),
}


def _bits(kind: int) -> int | None:
    import onnx

    packed = {
        getattr(onnx.TensorProto, name, -1): bits
        for name, bits in (("UINT4", 4), ("INT4", 4), ("FLOAT4E2M1", 4), ("UINT2", 2), ("INT2", 2))
    }
    if kind in packed:
        return packed[kind]
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize) * 8
    except (KeyError, ValueError, TypeError):
        # Texts have no size of their own; 0 is a type that nothing told.
        return None
