"""Writes TFLite files of any operators, for tests that read graphs and run nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TYPES = {"float32": 0, "float16": 1, "int32": 2, "int8": 9}


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    is_stored: bool = False


@dataclass(frozen=True)
class Node:
    """An operator by its name in the schema; None stands for an input that is left out."""

    kind: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    custom: str = ""


def write_graph(path: Path, tensors: Sequence[Tensor], nodes: Sequence[Node], inputs: Sequence[str]) -> Path:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    places = {tensor.name: index for index, tensor in enumerate(tensors)}
    made = [name for node in nodes for name in node.outputs]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, tensor, index + 1) for index, tensor in enumerate(tensors)]
    graph.inputs, graph.outputs = [places[name] for name in inputs], [places[made[-1]]]
    graph.operators = [_operator(schema, node, index, places) for index, node in enumerate(nodes)]
    model = schema.ModelT()
    model.version, model.subgraphs = 3, [graph]
    model.operatorCodes = [_code(schema, node) for node in nodes]
    model.buffers = [schema.BufferT(), *(_buffer(schema, tensor) for tensor in tensors)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(schema: object, tensor: Tensor, buffer: int) -> object:
    made = schema.TensorT()
    made.name, made.type, made.buffer = tensor.name.encode(), _TYPES[tensor.dtype], buffer
    made.shape = np.array(tensor.shape, np.int32)
    return made


def _buffer(schema: object, tensor: Tensor) -> object:
    made = schema.BufferT()
    if tensor.is_stored:
        made.data = np.zeros(max(1, int(np.prod(tensor.shape))) * np.dtype(tensor.dtype).itemsize, np.uint8)
    return made


def _code(schema: object, node: Node) -> object:
    made = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, "CUSTOM" if node.custom else node.kind)
    made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), 1
    made.customCode = node.custom.encode() or None
    return made


def _operator(schema: object, node: Node, code: int, places: dict[str, int]) -> object:
    made = schema.OperatorT()
    made.opcodeIndex = code
    made.inputs = [-1 if name is None else places[name] for name in node.inputs]
    made.outputs = [places[name] for name in node.outputs]
    return made
