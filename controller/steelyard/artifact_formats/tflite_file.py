"""Read the signature of a TFLite model from its flatbuffer, without an interpreter.

Field numbers are those of the TFLite schema (schema.fbs, version 3): a field's number is its place in its table.
"""

from __future__ import annotations

from pathlib import Path

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.artifact_formats.flatbuffer import MalformedFlatbufferError, Table, root_table
from steelyard_protocol.v1 import common_pb2

_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS = 0, 1, 2, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_SHAPE_SIGNATURE = 0, 1, 3, 7
_BUFFER_DATA = 0
DTYPES = ("float32", "float16", "int32", "uint8", "int64", "object", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16",
    "int2", "uint4", "float8_e4m3fn", "float8_e5m2")  # fmt: skip
_MAX_TABLE_COUNT = 1_000_000
_MAX_RANK = 32
_MAX_TENSOR_LIST = 4096


def read_tflite_signature(path: Path, content: bytes) -> common_pb2.Signature:
    """Return the inputs and outputs of the first subgraph; names are the tensors' own.

    Raises:
        InvalidModelError: truncated or malformed bytes, or no inputs or outputs.
    """
    try:
        signature = _signature(root_table(content))
    except (MalformedFlatbufferError, UnicodeDecodeError) as error:
        raise InvalidModelError(
            "malformed_model", f"{path} is a damaged TFLite file ({error}); copy or convert the model again"
        ) from error
    if not signature.inputs or not signature.outputs:
        raise InvalidModelError(
            "no_signature", f"{path} has no inputs or no outputs in its first subgraph; convert the model again"
        )
    return signature


def _signature(model: Table) -> common_pb2.Signature:
    for buffer in model.tables(_MODEL_BUFFERS, max_count=_MAX_TABLE_COUNT):
        buffer.byte_count(_BUFFER_DATA)  # a truncated file shows here: the weights lead out of it
    for _code in model.tables(_MODEL_OPERATOR_CODES, max_count=_MAX_TABLE_COUNT):
        pass  # walking over tables checks that they lie in the file
    subgraph = next(model.tables(_MODEL_SUBGRAPHS, max_count=_MAX_TABLE_COUNT), None)
    if subgraph is None:
        return common_pb2.Signature()
    for _operator in subgraph.tables(_SUBGRAPH_OPERATORS, max_count=_MAX_TABLE_COUNT):
        pass
    tensors = list(subgraph.tables(_SUBGRAPH_TENSORS, max_count=_MAX_TABLE_COUNT))
    return common_pb2.Signature(
        inputs=_specs(subgraph, _SUBGRAPH_INPUTS, tensors), outputs=_specs(subgraph, _SUBGRAPH_OUTPUTS, tensors)
    )


def _specs(subgraph: Table, field: int, tensors: list[Table]) -> list[common_pb2.TensorSpec]:
    specs = []
    for index in subgraph.integers(field, max_count=_MAX_TENSOR_LIST) or ():
        if not 0 <= index < len(tensors):
            raise MalformedFlatbufferError(f"tensor {index} of {len(tensors)}")
        specs.append(_spec(tensors[index]))
    return specs


def _spec(tensor: Table) -> common_pb2.TensorSpec:
    code = tensor.scalar(_TENSOR_TYPE, "b", 0)
    if not 0 <= code < len(DTYPES):
        raise MalformedFlatbufferError(f"tensor type {code}")
    sizes = tensor.integers(_TENSOR_SHAPE_SIGNATURE, max_count=_MAX_RANK)
    if not sizes:
        sizes = tensor.integers(_TENSOR_SHAPE, max_count=_MAX_RANK) or ()
    dimensions = [common_pb2.Dimension(size=size) if size >= 0 else common_pb2.Dimension(symbol="") for size in sizes]
    return common_pb2.TensorSpec(name=tensor.text(_TENSOR_NAME), dtype=DTYPES[code], dimensions=dimensions)
