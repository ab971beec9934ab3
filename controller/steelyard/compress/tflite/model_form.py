"""What a TFLite model is made of, as far as steps must know it: its numeric form, and weights that are no numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steelyard.compress.contract import FLOAT16, FLOAT32, INT8, SPARSE, WEIGHT_ONLY
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.flatbuffer_model import read_model
from steelyard.compress.tflite.graph import FLOAT16_TYPE, FLOAT32_TYPE, QUANTIZED_TYPES, Graph, is_quantized

_DEQUANTIZE = "DEQUANTIZE"


def numeric_form(path: Path) -> str:
    """Return "int8" for a model that computes with quantized numbers, "weight-only" for one that only stores them.

    int4 weights and 16-bit activations are "int8" too; "sparse" is a float model with any sparse tensor, "float16" one
    with any float16 tensor, and all else is "float32".
    """
    return graph_form(Graph(read_model(path)))


def graph_form(graph: Graph) -> str:
    """Return the numeric form of a graph; see ``numeric_form``."""
    quantized = {
        index for index, tensor in enumerate(graph.tensors) if tensor.type in QUANTIZED_TYPES and is_quantized(tensor)
    }
    stored_only = {
        index
        for index in quantized
        if graph.data(index) is not None
        and all(graph.kind(operator) == _DEQUANTIZE for operator in graph.consumers(index))
    }
    if quantized - stored_only:
        return INT8
    if stored_only:
        return WEIGHT_ONLY
    if any(tensor.sparsity is not None for tensor in graph.tensors):
        return SPARSE
    return FLOAT16 if any(tensor.type == FLOAT16_TYPE for tensor in graph.tensors) else FLOAT32


def refuse_nan_weights(path: Path) -> None:
    """Refuse a model with NaN in a stored tensor; infinities stand in attention masks and are left alone.

    Raises:
        CompressionInputError: nan_weights, naming the tensor.
    """
    graph = Graph(read_model(path))
    for index, tensor in enumerate(graph.tensors):
        values = graph.values(index) if tensor.type in {FLOAT32_TYPE, FLOAT16_TYPE} else None
        bad_count = 0 if values is None else int(np.isnan(values).sum())
        if bad_count:
            raise CompressionInputError(
                "nan_weights",
                f"{path}: the tensor {graph.name(index)!r} holds {bad_count} NaN; train or convert the model again",
            )
