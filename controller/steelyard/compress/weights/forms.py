"""How quantized weights stand in an ONNX model: which form suits which reader, and its nodes.

MatMulNBits (com.microsoft) multiplies with packed weights. The others are standard operators: Cast and Mul of
constants, which runtimes fold when they load the model; DequantizeLinear, which onnxruntime leaves to be run every
time, or fuses with MatMul; and rows of an embedding are looked up packed, and only those are unpacked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.editing import GraphEdit
from steelyard.compress.weights.finding import Weight, WeightUse, attribute, input_axis, output_axis
from steelyard.compress.weights.grid import QuantizedMatrix
from steelyard.compress.weights.layout import as_stored, has_one_layout, outputs_first
from steelyard.compress.weights.packing import NBits, pack_nbits, pack_nibbles

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

MATMULNBITS = "matmulnbits"
DEQUANTIZE = "dequantize"
UNPACK = "unpack"
ROWS = "rows"
CONTRIB_DOMAIN = "com.microsoft"
# A scale a channel, a node and names take about 200 bytes: what a tensor of this many weights saves at 8 bits is more.
_LEAST_WEIGHTS = 256
# accuracy_level of MatMulNBits: 4 rounds activations to 8 bits a block, 0 computes in float32.
_INT8_ACCURACY = 4


def form_of(weight: Weight, *, bits: int, wish: str, op_types: Collection[str]) -> tuple[str, str]:
    """Return the form for a weight and "", or "" and the reason why it is left; ``wish`` is that of matrix products."""
    reason = _reason_to_leave(weight, op_types)
    if reason:
        return "", reason
    rank = len(weight.tensor.dims)
    if "Gather" in weight.op_types:
        is_rows = rank == 2 and all(attribute(use.node, "axis", 0) == 0 for use in weight.uses)
        return (
            (ROWS, "") if is_rows and len(weight.op_types) == 1 else ("", "not a table of rows that is only looked up")
        )
    is_matrix = rank == 2 and weight.op_types <= {"Gemm", "MatMul"} and all(use.input_index == 1 for use in weight.uses)
    if is_matrix and wish == MATMULNBITS and all(_is_plain(use) for use in weight.uses):
        return MATMULNBITS, ""
    return DEQUANTIZE if wish == DEQUANTIZE and (is_matrix or bits == 8) else UNPACK, ""


def bits_of(form: str, bits: int) -> int:
    """Return the bits that a form has where ``bits`` are wished for: only matrix products have kernels of 4."""
    return bits if form in {MATMULNBITS, DEQUANTIZE} else 8


def as_matrix(weight: Weight) -> NDArray[np.float32]:
    """Return a weight as [outputs, inputs], the places of a kernel among the inputs."""
    values = outputs_first(weight.values(), weight.uses[0])
    return values.reshape(values.shape[0], -1).astype(np.float32)


def store_quantized(
    edit: GraphEdit, weight: Weight, matrix: QuantizedMatrix, *, form: str, int8_activations: bool
) -> None:
    """Put a quantized matrix in the place of a weight."""
    if form == MATMULNBITS:
        _store_nbits(edit, weight, matrix, int8_activations)
    elif form == ROWS:
        _store_rows(edit, weight, matrix)
    elif form == UNPACK:
        _store_to_unpack(edit, weight, matrix)
    else:
        _store_dequantized(edit, weight, matrix)


def _reason_to_leave(weight: Weight, op_types: Collection[str]) -> str:
    if weight.has_other_uses:
        return "something reads it that does not take it as a weight"
    if not weight.op_types <= set(op_types):
        return "an operator reads it that op_types leaves out"
    if not has_one_layout(weight):
        return "its readers do not agree on its inputs"
    if int(np.prod(weight.tensor.dims)) < _LEAST_WEIGHTS:
        return f"fewer than {_LEAST_WEIGHTS} weights"
    return ""


def _is_plain(use: WeightUse) -> bool:
    node = use.node
    has_bias = len(node.input) > 2 and node.input[2] != ""
    beta = attribute(node, "beta", 1.0) if has_bias else 1.0
    return (attribute(node, "transA", 0), attribute(node, "alpha", 1.0), beta) == (0, 1.0, 1.0)


def _store_nbits(edit: GraphEdit, weight: Weight, matrix: QuantizedMatrix, int8_activations: bool) -> None:
    packed = pack_nbits(matrix)
    graph, name = weight.graph, weight.name
    inputs = [edit.store(graph, f"{name}_packed", packed.packed), edit.store(graph, f"{name}_scales", packed.scales)]
    if packed.zero_points is not None:
        inputs.append(edit.store(graph, f"{name}_zero_points", packed.zero_points))
    for use in weight.uses:
        edit.replace_node(use, _nbits_nodes(edit, use, graph, inputs, matrix, packed, int8_activations))
    edit.remove(weight)


def _nbits_nodes(
    edit: GraphEdit,
    use: WeightUse,
    graph: GraphProto,
    inputs: list[str],
    matrix: QuantizedMatrix,
    packed: NBits,
    int8_activations: bool,
) -> list[NodeProto]:
    from onnx import helper

    node = use.node
    output_count, input_count = matrix.codes.shape
    bias = node.input[2] if len(node.input) > 2 else ""
    is_vector = any(tensor.name == bias and list(tensor.dims) == [output_count] for tensor in graph.initializer)
    product = node.output[0] if not bias or is_vector else edit.free_name(f"{node.output[0]}_product")
    settings = {"K": input_count, "N": output_count, "bits": matrix.shape.bits, "block_size": packed.block_size}
    if int8_activations:
        settings["accuracy_level"] = _INT8_ACCURACY
    # Inputs: A, packed B, scales, zero points, an order of groups that is not used here, bias.
    named = [node.input[0], *inputs]
    if bias and is_vector:
        named += [""] * (5 - len(named)) + [bias]
    nodes = [helper.make_node("MatMulNBits", named, [product], name=node.name, domain=CONTRIB_DOMAIN, **settings)]
    if bias and not is_vector:
        nodes.append(
            helper.make_node("Add", [product, bias], list(node.output), name=edit.free_name(f"{node.name}_bias"))
        )
    return nodes


def _store_rows(edit: GraphEdit, weight: Weight, matrix: QuantizedMatrix) -> None:
    codes, zero_points = _signed(matrix)
    graph, name = weight.graph, weight.name
    table = edit.store(graph, f"{name}_rows", codes)
    scales = edit.store(graph, f"{name}_scales", matrix.scales)
    zeros = None if zero_points is None else edit.store(graph, f"{name}_zero_points", zero_points)
    for use in weight.uses:
        edit.replace_node(use, _row_nodes(edit, use, table, scales, zeros))
    edit.remove(weight)


def _row_nodes(edit: GraphEdit, use: WeightUse, table: str, scales: str, zeros: str | None) -> list[NodeProto]:
    """Look rows of codes up, and their scales [.., 1] with the same indexes."""
    from onnx import TensorProto, helper

    node = use.node
    indexes, given = node.input[1], node.output[0]

    def looked_up(stored: str, what: str) -> tuple[list[NodeProto], str]:
        raw, wide = edit.free_name(f"{given}_{what}"), edit.free_name(f"{given}_{what}_float")
        lookup = helper.make_node(
            "Gather", [stored, indexes], [raw], name=edit.free_name(f"{node.name}_{what}"), axis=0
        )
        cast = helper.make_node(
            "Cast", [raw], [wide], name=edit.free_name(f"{node.name}_{what}_float"), to=TensorProto.FLOAT
        )
        return [lookup, cast], wide

    nodes, codes = looked_up(table, "rows")
    if zeros is not None:
        more, zero = looked_up(zeros, "zero_points")
        centred = edit.free_name(f"{given}_centred")
        subtract = helper.make_node("Sub", [codes, zero], [centred], name=edit.free_name(f"{node.name}_centre"))
        nodes, codes = [*nodes, *more, subtract], centred
    scale = edit.free_name(f"{given}_scales")
    return [
        *nodes,
        helper.make_node("Gather", [scales, indexes], [scale], name=edit.free_name(f"{node.name}_scales"), axis=0),
        helper.make_node("Mul", [codes, scale], [given], name=node.name),
    ]


def _store_to_unpack(edit: GraphEdit, weight: Weight, matrix: QuantizedMatrix) -> None:
    """Let Cast and Mul of constants give the weight its name, with one scale a channel."""
    from onnx import TensorProto, helper

    use, dims = weight.uses[0], tuple(weight.tensor.dims)
    codes, zero_points = _signed(matrix)
    graph, name = weight.graph, weight.name
    by_channel = [1] * len(dims)
    by_channel[output_axis(use, len(dims))] = -1
    values = edit.free_name(f"{name}_float")
    stored = edit.store(graph, f"{name}_codes", _as_stored(codes, use, dims))
    nodes = [helper.make_node("Cast", [stored], [values], name=edit.free_name(f"{name}_cast"), to=TensorProto.FLOAT)]
    if zero_points is not None:
        zeros = edit.store(graph, f"{name}_zero_points", zero_points.astype(np.float32).reshape(by_channel))
        centred = edit.free_name(f"{name}_centred")
        nodes.append(helper.make_node("Sub", [values, zeros], [centred], name=edit.free_name(f"{name}_centre")))
        values = centred
    scales = edit.store(graph, f"{name}_scales", matrix.scales.reshape(by_channel))
    nodes.append(helper.make_node("Mul", [values, scales], [name], name=edit.free_name(f"{name}_scale")))
    edit.compute(weight, nodes)


def _store_dequantized(edit: GraphEdit, weight: Weight, matrix: QuantizedMatrix) -> None:
    """Let DequantizeLinear give the weight its name: one scale a channel, or (matrices) one a block of inputs."""
    from onnx import helper

    use, dims = weight.uses[0], tuple(weight.tensor.dims)
    codes, zero_points = _signed(matrix)
    stored = _as_stored(codes, use, dims)
    settings: dict[str, int] = {"axis": output_axis(use, len(dims))}
    scales: NDArray[Any] = matrix.scales[:, 0]
    zeros = None if zero_points is None else zero_points[:, 0]
    if matrix.shape.block_size:
        settings = {"axis": input_axis(use, len(dims)), "block_size": matrix.shape.width(matrix.codes.shape[1])}
        scales = matrix.scales if output_axis(use, 2) == 0 else matrix.scales.T
        zeros = None if zero_points is None else (zero_points if output_axis(use, 2) == 0 else zero_points.T)
    graph, name = weight.graph, weight.name
    inputs = [_store_codes(edit, graph, f"{name}_codes", stored, matrix), edit.store(graph, f"{name}_scales", scales)]
    if zeros is not None:
        inputs.append(_store_codes(edit, graph, f"{name}_zero_points", zeros, matrix))
    node = helper.make_node("DequantizeLinear", inputs, [name], name=edit.free_name(f"{name}_dequantize"), **settings)
    edit.compute(weight, [node])


def _signed(matrix: QuantizedMatrix) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return codes around zero without zero points (int8) for symmetric grids, unsigned ones with theirs otherwise."""
    if not matrix.shape.symmetric:
        return matrix.codes, matrix.zero_points
    return (matrix.codes.astype(np.int16) - matrix.shape.middle).astype(np.int8), None


def _as_stored(codes: NDArray[Any], use: WeightUse, dims: tuple[int, ...]) -> NDArray[Any]:
    inputs = dims[input_axis(use, len(dims))]
    return as_stored(codes.reshape(codes.shape[0], -1, inputs), use, dims)


def _store_codes(edit: GraphEdit, graph: GraphProto, wish: str, codes: NDArray[Any], matrix: QuantizedMatrix) -> str:
    if matrix.shape.bits == 8:
        return edit.store(graph, wish, codes)
    from onnx import TensorProto, helper

    kind = TensorProto.INT4 if matrix.shape.symmetric else TensorProto.UINT4
    name = edit.free_name(wish)
    packed = pack_nibbles(np.ascontiguousarray(codes))
    graph.initializer.append(helper.make_tensor(name, kind, list(codes.shape), packed, raw=True))
    return name
