"""Weights in the sparse form of the TFLite schema: rows of what is not zero, which DENSIFY unpacks.

The format is that of SparsityParameters in the schema, without blocks: every dimension but the last is dense, the last
one lists the places of its non-zero values (compressed sparse rows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.tflite.flatbuffer_model import add_buffer
from steelyard.compress.tflite.graph import Graph, inputs_of

_SPARSE_SUFFIX = "_sparse"
# By the largest number that they hold: the name in the schema, and numpy's type.
_INDEX_TYPES = ((0xFF, "Uint8Vector", np.uint8), (0xFFFF, "Uint16Vector", np.uint16), (2**31, "Int32Vector", np.int32))


def sparsity_of(values: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
    """Return the ``SparsityParametersT`` of an array of any rank, and its non-zero values in their order."""
    from ai_edge_litert import schema_py_generated as schema

    rows = values.reshape(-1, values.shape[-1])
    row_numbers, columns = np.nonzero(rows)
    segments = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(row_numbers, minlength=len(rows)), out=segments[1:])
    parameters = schema.SparsityParametersT()
    parameters.traversalOrder = np.arange(values.ndim, dtype=np.int32)
    parameters.dimMetadata = [_dense(schema, size) for size in values.shape[:-1]]
    last = schema.DimensionMetadataT()
    last.format = schema.DimensionType.SPARSE_CSR
    last.arraySegmentsType, last.arraySegments = _indexes(schema, segments)
    last.arrayIndicesType, last.arrayIndices = _indexes(schema, columns)
    parameters.dimMetadata.append(last)
    return parameters, rows[row_numbers, columns]


def dense_values(parameters: Any, stored: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array that ``sparsity_of`` took apart."""
    last = parameters.dimMetadata[-1]
    segments = np.asarray(last.arraySegments.values, np.int64)
    columns = np.asarray(last.arrayIndices.values, np.int64)
    rows = np.zeros((len(segments) - 1, shape[-1]), stored.dtype)
    rows[np.repeat(np.arange(len(rows)), np.diff(segments)), columns] = stored
    return rows.reshape(shape)


def store_sparsely(graph: Graph, tensors: list[int]) -> None:
    """Give weights their sparse form in the model: a sparse tensor each, and a DENSIFY before everything else.

    ``graph`` does not know of the change: make another.
    """
    from ai_edge_litert import schema_py_generated as schema

    code = _densify_code(graph, schema)
    operators = [_densify(graph, schema, tensor, code) for tensor in tensors]
    graph.subgraph.operators = [*operators, *graph.operators]


def _densify(graph: Graph, schema: Any, tensor: int, code: int) -> Any:
    values = graph.values(tensor)
    assert values is not None, "only dense stored weights are given"
    dense = graph.tensors[tensor]
    sparse = schema.TensorT()
    sparse.name = (graph.name(tensor) + _SPARSE_SUFFIX).encode()
    sparse.type, sparse.shape = dense.type, np.array(graph.shape(tensor), np.int32)
    sparse.sparsity, stored = sparsity_of(values)
    sparse.buffer = add_buffer(graph.model, stored)
    graph.tensors.append(sparse)
    dense.buffer = 0
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = np.array([len(graph.tensors) - 1], np.int32)
    operator.outputs = np.array([tensor], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.DensifyOptions
    operator.builtinOptions = schema.DensifyOptionsT()
    return operator


def _densify_code(graph: Graph, schema: Any) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DENSIFY
    code.version = 1
    graph.model.operatorCodes.append(code)
    return len(graph.model.operatorCodes) - 1


def _dense(schema: Any, size: int) -> Any:
    made = schema.DimensionMetadataT()
    made.format, made.denseSize = schema.DimensionType.DENSE, int(size)
    return made


def _indexes(schema: Any, numbers: NDArray[np.int64]) -> tuple[int, Any]:
    largest = int(numbers.max(initial=0))
    name, dtype = next((name, dtype) for limit, name, dtype in _INDEX_TYPES if largest <= limit)
    vector = getattr(schema, f"{name}T")()
    vector.values = numbers.astype(dtype)
    return int(getattr(schema.SparseIndexVector, name)), vector


def sparse_classifier_weights(graph: Graph, least_zero_share: float) -> list[int]:
    """Return the weights of FULLY_CONNECTED operators of which at least so many are zero, and not all."""
    found = []
    for operator, tensor, values in graph.weights():
        zero_share = float((values == 0).mean())
        is_plain = graph.kind(operator) == "FULLY_CONNECTED" and inputs_of(operator)[1] == tensor
        if is_plain and least_zero_share <= zero_share < 1.0 and len(graph.consumers(tensor)) == 1:
            found.append(tensor)
    return found
