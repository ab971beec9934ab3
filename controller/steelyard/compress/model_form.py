"""What an ONNX model is made of, as far as steps must know it: its numeric form, and weights that are no numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from steelyard.artifact_formats.onnx_tensors import iter_nodes, iter_tensors
from steelyard.compress.contract import FLOAT16, FLOAT32, INT8, WEIGHT_ONLY
from steelyard.compress.errors import CompressionInputError

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

QUANTIZED_OPS = frozenset({
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger",
    "ConvInteger", "QLinearConv", "QLinearMatMul", "QLinearAdd", "QGemm", "QAttention", "MatMulNBits",
    "MatMulIntegerToFloat", "DynamicQuantizeLSTM",
})  # fmt: skip
# These unpack weights; a model that has no other quantized operator computes in float.
_WEIGHT_ONLY_OPS = frozenset({"DequantizeLinear", "MatMulNBits"})

CONTROL_FLOW_OPS = ("If", "Loop", "Scan")


def op_counts(model: ModelProto) -> Counter[str]:
    """Return how many nodes there are of each operator, subgraphs and functions included."""
    return Counter(node.op_type for node in iter_nodes(model))


def float_bodies_note(model: ModelProto) -> tuple[str, ...]:
    """Return a note on control flow, whose bodies quantizers leave in float; () for a model without any."""
    counts = op_counts(model)
    found = [f"{counts[op]} {op}" for op in CONTROL_FLOW_OPS if counts[op]]
    return (f"what is inside of {' and '.join(found)} stays in float",) if found else ()


def numeric_form(model: ModelProto) -> str:
    """Return "float32", or what a model holds beside it: quantized operators ("int8"), float16 tensors ("float16").

    "weight-only" when its quantized operators do nothing but unpack weights.
    """
    quantized = QUANTIZED_OPS & set(op_counts(model))
    if quantized:
        return WEIGHT_ONLY if quantized <= _WEIGHT_ONLY_OPS else INT8
    halves = (tensor.data_type == tensor.FLOAT16 for tensor in iter_tensors(model))
    return FLOAT16 if any(halves) else FLOAT32


def refuse_handed_through(path: Path, model: ModelProto, *, stored: bool = True) -> None:
    """Refuse outputs that are an input, a stored tensor (``stored``) or another output: converters lose their way.

    Raises:
        CompressionInputError: unsupported_output, naming it.
    """
    given = [value.name for value in model.graph.output]
    others = {value.name for value in model.graph.input}
    if stored:
        others |= {tensor.name for tensor in model.graph.initializer}
    for number, name in enumerate(given):
        if name in others or name in given[:number]:
            raise CompressionInputError(
                "unsupported_output",
                f"{path}: no operator gives the output {name!r} by itself, it is handed through; export the model "
                "without that output",
            )


def refuse_sparse_tensors(path: Path, model: ModelProto) -> None:
    """Refuse tensors that are stored sparsely: neither onnxruntime's tools nor onnx's converter read them.

    Raises:
        CompressionInputError: sparse_tensors, naming one.
    """
    found = [tensor.values.name for tensor in model.graph.sparse_initializer]
    found += [
        node.output[0]
        for node in iter_nodes(model)
        for attribute in node.attribute
        if attribute.HasField("sparse_tensor")
    ]
    if found:
        raise CompressionInputError(
            "sparse_tensors",
            f"{path} stores the tensor {found[0]!r} sparsely, which no step reads; export it with dense tensors",
        )


def refuse_nan_weights(path: Path, model: ModelProto) -> None:
    """Refuse a model with NaN in a stored tensor; infinities stand in attention masks and are left alone.

    Raises:
        CompressionInputError: nan_weights, naming the tensor.
    """
    from onnx import numpy_helper

    for tensor in iter_tensors(model):
        if tensor.data_type not in {tensor.FLOAT, tensor.FLOAT16, tensor.DOUBLE}:
            continue
        bad_count = int(np.isnan(numpy_helper.to_array(tensor)).sum())
        if bad_count:
            raise CompressionInputError(
                "nan_weights",
                f"{path}: the tensor {tensor.name!r} holds {bad_count} NaN; train or export the model again",
            )
