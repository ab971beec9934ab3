"""Two nodes in place of one, for weights of low rank: how a layer becomes a matrix, and its factors layers again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.editing import GraphEdit
from steelyard.compress.weights.factors import Decomposition, decompose
from steelyard.compress.weights.finding import Weight, WeightUse, attribute, input_axis
from steelyard.compress.weights.layout import outputs_first
from steelyard.compress.weights.second_moment import SecondMoment

if TYPE_CHECKING:
    from onnx import NodeProto

Square = NDArray[np.float64]
# Ways to cut a layer in two: a matrix into factors; kxk into kxk to few channels and 1x1; kxk into kx1 and 1xk.
MATRIX = "matrix"
CHANNEL = "channel"
SPATIAL = "spatial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One way to cut the layers that read a weight, with the decomposition of its matrix."""

    weight: Weight
    way: str
    decomposition: Decomposition

    def replace(self, edit: GraphEdit, rank: int) -> None:
        """Put two nodes of this rank in the place of each node that reads the weight."""
        left, right = self.decomposition.factors(rank)
        first, second = _stored_factors(self.way, left, right, tuple(self.weight.tensor.dims))
        dtype = self.weight.values().dtype
        graph, name = self.weight.graph, self.weight.name
        names = (
            edit.store(graph, f"{name}_first", first.astype(dtype)),
            edit.store(graph, f"{name}_second", second.astype(dtype)),
        )
        kernel = list(self.weight.tensor.dims[2:])
        for use in self.weight.uses:
            is_matrix = self.way == MATRIX
            nodes = _matrix_nodes(edit, use, names) if is_matrix else _conv_nodes(edit, use, names, self.way, kernel)
            edit.replace_node(use, nodes)
        edit.remove(self.weight)


def cuts(weight: Weight, ways: tuple[str, ...], moment: SecondMoment | None) -> list[Cut]:
    """Return the ways among ``ways`` in which a weight can be cut; ``moment`` is that of its inputs, None: unknown."""
    shape = tuple(weight.tensor.dims)
    use = weight.uses[0]
    if use.node.op_type != "Conv":
        matrix = outputs_first(weight.values(), use)[:, 0, :].T.astype(np.float64)
        decomposition = decompose(
            matrix, macs_by_rank=sum(matrix.shape), macs_before=math.prod(matrix.shape), moment=moment
        )
        return [Cut(weight=weight, way=MATRIX, decomposition=decomposition)]
    values = weight.values().astype(np.float64)
    output_count, input_count, *kernel = shape
    found = []
    if CHANNEL in ways:
        matrix = values.reshape(output_count, -1).T
        decomposition = decompose(
            matrix, macs_by_rank=sum(matrix.shape), macs_before=math.prod(matrix.shape), moment=moment
        )
        found.append(Cut(weight=weight, way=CHANNEL, decomposition=decomposition))
    if SPATIAL in ways and len(kernel) == 2 and min(kernel) > 1:
        matrix = values.transpose(1, 2, 0, 3).reshape(input_count * kernel[0], output_count * kernel[1])
        # The first convolution is not strided along the width: it has as many columns more as the second leaves out.
        width_stride = attribute(use.node, "strides", [1, 1])[1]
        macs_by_rank = matrix.shape[0] * width_stride + matrix.shape[1]
        decomposition = decompose(matrix, macs_by_rank=macs_by_rank, macs_before=math.prod(shape))
        found.append(Cut(weight=weight, way=SPATIAL, decomposition=decomposition))
    return found


def reason_not_to_cut(weight: Weight) -> str:
    """Return why the layers of a weight cannot be cut, "" when they can."""
    reason = next(filter(None, (_reason_of(use) for use in weight.uses)), "")
    if reason:
        return reason
    if weight.is_output:
        return "the model gives it out"
    if len({input_axis(use, len(weight.tensor.dims)) for use in weight.uses}) > 1:
        return "its readers sum over different axes of it"
    if "Conv" not in weight.op_types and len(weight.tensor.dims) != 2:
        return "a stack of matrices"
    return "" if len(weight.op_types) == 1 else "operators of different types read it"


def _reason_of(use: WeightUse) -> str:
    node = use.node
    if not use.is_weight:
        return "something reads it that does not multiply with it"
    if node.op_type == "MatMul" and use.input_index == 0:
        return "it stands on the left of its product"
    if node.op_type == "Conv" and attribute(node, "group", 1) != 1:
        return "a convolution in groups"
    return ""


def _stored_factors(way: str, left: Square, right: Square, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weights of the two nodes: [in, R] and [R, out], or those of two convolutions."""
    rank = left.shape[1]
    if way == MATRIX:
        return left, right
    output_count, input_count, *kernel = shape
    if way == CHANNEL:
        ones = [1] * len(kernel)
        return left.T.reshape(rank, input_count, *kernel), right.T.reshape(output_count, rank, *ones)
    first = left.T.reshape(rank, input_count, kernel[0], 1)
    second = right.reshape(rank, output_count, kernel[1]).transpose(1, 0, 2)[:, :, np.newaxis, :]
    return first, second


def _matrix_nodes(edit: GraphEdit, use: WeightUse, names: tuple[str, str]) -> list[NodeProto]:
    from onnx import helper

    node = use.node
    between = edit.free_name(f"{node.output[0]}_low_rank")
    kept = {"alpha": attribute(node, "alpha", 1.0), "beta": attribute(node, "beta", 1.0)}
    is_gemm = node.op_type == "Gemm"
    is_turned = is_gemm and bool(attribute(node, "transA", 0))
    # Gemm may go without a bias from opset 11 on only; MatMul always does.
    first_op, first = ("Gemm", {"transA": 1}) if is_turned else ("MatMul", {})
    return [
        helper.make_node(
            first_op, [node.input[0], names[0]], [between], name=edit.free_name(f"{node.name}_first"), **first
        ),
        helper.make_node(
            node.op_type,
            [between, names[1], *node.input[2:]],
            list(node.output),
            name=node.name,
            **(kept if is_gemm else {}),
        ),
    ]


def _conv_nodes(
    edit: GraphEdit, use: WeightUse, names: tuple[str, str], way: str, kernel: list[int]
) -> list[NodeProto]:
    from onnx import helper

    node = use.node
    between = edit.free_name(f"{node.output[0]}_low_rank")
    rank = len(kernel)
    given = {
        "kernel_shape": kernel,
        "strides": list(attribute(node, "strides", [1] * rank)),
        "dilations": list(attribute(node, "dilations", [1] * rank)),
        "pads": list(attribute(node, "pads", [0] * 2 * rank)),
    }
    first, second = _split(given, way)
    auto_pad = attribute(node, "auto_pad", b"NOTSET")
    if auto_pad != b"NOTSET":
        for one in (first, second):
            del one["pads"]
            one["auto_pad"] = auto_pad
    return [
        helper.make_node(
            "Conv", [node.input[0], names[0]], [between], name=edit.free_name(f"{node.name}_first"), **first
        ),
        helper.make_node("Conv", [between, names[1], *node.input[2:]], list(node.output), name=node.name, **second),
    ]


def _split(given: dict[str, list[int]], way: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of the two convolutions."""
    rank = len(given["kernel_shape"])
    ones, none = [1] * rank, [0] * 2 * rank
    if way == CHANNEL:
        return dict(given), {"kernel_shape": ones, "strides": ones, "dilations": ones, "pads": none}
    first: dict[str, Any] = {key: [given[key][0], 1] for key in ("kernel_shape", "strides", "dilations")}
    second: dict[str, Any] = {key: [1, given[key][1]] for key in ("kernel_shape", "strides", "dilations")}
    top, left, bottom, right = given["pads"]
    first["pads"], second["pads"] = [top, 0, bottom, 0], [0, left, 0, right]
    return first, second
