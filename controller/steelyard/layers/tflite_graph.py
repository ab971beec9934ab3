"""The operators and tensors of a TFLite file's first graph, read without an interpreter.

Field numbers are those of the TFLite schema (schema.fbs, version 3): a field's number is its place in its table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.artifact_formats.flatbuffer import MalformedFlatbufferError, Table, root_table
from steelyard.artifact_formats.tflite_file import DTYPES
from steelyard.layers.tflite_names import BUILTIN_NAMES, CUSTOM

_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_DEPRECATED, _CODE_CUSTOM, _CODE_BUILTIN = 0, 1, 3
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OPERATORS = 0, 1, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_BUFFER_DATA, _BUFFER_SIZE = 0, 2
_BITS = {"int4": 4, "uint4": 4, "int2": 2, "bool": 8, "int8": 8, "uint8": 8, "float16": 16, "bfloat16": 16, "int16": 16,
    "uint16": 16, "float32": 32, "int32": 32, "uint32": 32, "float64": 64, "int64": 64, "uint64": 64, "complex64": 64,
    "complex128": 128}  # fmt: skip
_MOST_TABLES, _MOST_INDICES, _MOST_RANK = 1_000_000, 65_536, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteTensor:
    """A tensor; ``is_stored``: its values are in the file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_stored: bool

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def byte_count(self) -> int | None:
        """The bytes that its elements take, None for texts and other things without a size."""
        bits = _BITS.get(self.dtype)
        return None if bits is None else (self.size * bits + 7) // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteOperator:
    """An operator with the numbers of its tensors; -1 stands for an input that is left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteGraph:
    """The first graph of a file, which is the one that runs."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]


def read_graph(path: Path, content: bytes) -> TfliteGraph:
    """Return the first graph of a file.

    Raises:
        InvalidModelError: truncated or malformed bytes, or no graph.
    """
    try:
        return _graph(root_table(content))
    except (MalformedFlatbufferError, UnicodeDecodeError) as error:
        raise InvalidModelError(
            "malformed_model", f"{path} is a damaged TFLite file ({error}); copy or convert the model again"
        ) from error


def _graph(model: Table) -> TfliteGraph:
    graph = next(model.tables(_MODEL_SUBGRAPHS, max_count=_MOST_TABLES), None)
    if graph is None:
        raise MalformedFlatbufferError("it has no graph")
    kinds = [_kind(code) for code in model.tables(_MODEL_CODES, max_count=_MOST_TABLES)]
    stored = [_has_data(buffer) for buffer in model.tables(_MODEL_BUFFERS, max_count=_MOST_TABLES)]
    tensors = tuple(_tensor(table, stored) for table in graph.tables(_GRAPH_TENSORS, max_count=_MOST_TABLES))
    operators = tuple(
        _operator(table, kinds, len(tensors)) for table in graph.tables(_GRAPH_OPERATORS, max_count=_MOST_TABLES)
    )
    return TfliteGraph(tensors=tensors, operators=operators, inputs=_indices(graph, _GRAPH_INPUTS, len(tensors)))


def _kind(code: Table) -> str:
    # Files of before 2020 have only the byte, newer ones both; the byte ends at 127.
    number = max(code.scalar(_CODE_DEPRECATED, "b", 0), code.scalar(_CODE_BUILTIN, "i", 0))
    if not 0 <= number < len(BUILTIN_NAMES):
        return f"BUILTIN_{number}"
    name = BUILTIN_NAMES[number]
    return f"{CUSTOM}:{code.text(_CODE_CUSTOM)}" if name == CUSTOM else name


def _has_data(buffer: Table) -> bool:
    # Files of 2 GiB and more keep data behind the flatbuffer, with its size in a field of its own.
    return buffer.byte_count(_BUFFER_DATA) > 0 or buffer.scalar(_BUFFER_SIZE, "Q", 0) > 1


def _tensor(table: Table, stored: list[bool]) -> TfliteTensor:
    code, buffer = table.scalar(_TENSOR_TYPE, "b", 0), table.scalar(_TENSOR_BUFFER, "I", 0)
    shape = table.integers(_TENSOR_SHAPE, max_count=_MOST_RANK) or ()
    if any(size < 0 for size in shape):
        raise MalformedFlatbufferError(f"a tensor of the shape {shape}")
    return TfliteTensor(
        name=table.text(_TENSOR_NAME),
        shape=tuple(shape),
        dtype=DTYPES[code] if 0 <= code < len(DTYPES) else f"type {code}",
        is_stored=buffer < len(stored) and stored[buffer],
    )


def _operator(table: Table, kinds: list[str], tensor_count: int) -> TfliteOperator:
    code = table.scalar(_OPERATOR_CODE, "I", 0)
    if code >= len(kinds):
        raise MalformedFlatbufferError(f"operator code {code} of {len(kinds)}")
    return TfliteOperator(
        kind=kinds[code],
        inputs=_indices(table, _OPERATOR_INPUTS, tensor_count),
        outputs=_indices(table, _OPERATOR_OUTPUTS, tensor_count),
    )


def _indices(table: Table, field: int, tensor_count: int) -> tuple[int, ...]:
    indices = table.integers(field, max_count=_MOST_INDICES) or ()
    for index in indices:
        if not -1 <= index < tensor_count:
            raise MalformedFlatbufferError(f"tensor {index} of {tensor_count}")
    return tuple(indices)
