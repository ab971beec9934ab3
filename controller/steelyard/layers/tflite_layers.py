"""The layers of a TFLite model."""

from __future__ import annotations

from pathlib import Path

from steelyard.layers.contract import Layer, LayerTable, Shapes, refuse_unknown_inputs
from steelyard.layers.tflite_graph import TfliteGraph, TfliteOperator, TfliteTensor, read_graph
from steelyard.layers.tflite_macs import count_macs, is_depthwise, weight_index

# What hands a stored tensor on: float16 weights that are widened as the model is loaded.
_CARRIERS = frozenset({"DEQUANTIZE", "CAST", "RESHAPE", "TRANSPOSE"})
_WEIGHT_DTYPES = frozenset(
    {"float32", "float16", "bfloat16", "float64", "int8", "uint8", "int16", "int4", "uint4", "int2"}
)


def tflite_layers(path: Path, content: bytes, *, input_shapes: Shapes, batch_size: int) -> LayerTable:
    """Return the layers of a model, counted for the shapes that are in the file.

    With other sizes of its inputs the shapes inside are not known, and neither are counts that depend on them.

    Raises:
        InvalidModelError: truncated or malformed bytes, or no graph.
        UsageError: a size was given for an input that the model does not have.
    """
    graph = read_graph(path, content)
    refuse_unknown_inputs(input_shapes, [graph.tensors[index].name for index in graph.inputs])
    other = _other_shape(graph, input_shapes, batch_size)
    origins = _origins(graph)
    counted: dict[int, int] = {}
    layers = []
    for index, operator in enumerate(graph.operators):
        own = _parameters(graph, operator, origins)
        counted.update(own)
        layers.append(_layer(index, operator, graph, sum(own.values()), origins, other))
    return LayerTable(layers=tuple(layers), parameter_count=sum(counted.values()))


def _other_shape(graph: TfliteGraph, input_shapes: Shapes, batch_size: int) -> str:
    for index in graph.inputs:
        tensor = graph.tensors[index]
        wanted = tuple(input_shapes.get(tensor.name, tensor.shape))
        if tensor.name not in input_shapes and batch_size > 1 and tensor.shape:
            wanted = (batch_size, *tensor.shape[1:])
        if wanted != tensor.shape:
            return f"the file holds shapes for {tensor.name!r} as {tensor.shape}, not as {wanted}"
    return ""


def _layer(
    index: int,
    operator: TfliteOperator,
    graph: TfliteGraph,
    parameter_count: int,
    origins: dict[int, int],
    other_shape: str,
) -> Layer:
    inputs = [graph.tensors[at] if at >= 0 else None for at in operator.inputs]
    outputs = [graph.tensors[at] for at in operator.outputs if at >= 0]
    macs, reason = count_macs(operator, inputs, outputs)
    weight_at = weight_index(operator.kind)
    weight = operator.inputs[weight_at] if weight_at is not None and weight_at < len(operator.inputs) else -1
    stored = origins.get(weight)
    depends = bool(other_shape) and macs != 0
    return Layer(
        index=index,
        # Nodes have no names; this is what LiteRT's profiler tells of one.
        name=f"{operator.kind}_{index}",
        kind=operator.kind,
        inputs=tuple(tensor.name for tensor in inputs if tensor is not None),
        outputs=tuple(tensor.name for tensor in outputs),
        mac_count=None if depends else macs,
        parameter_count=parameter_count,
        byte_count=None if other_shape else _byte_count([*inputs, *outputs]),
        weight_dtype=graph.tensors[stored].dtype if stored is not None else "",
        weight_shape=tuple(graph.tensors[weight].shape) if weight >= 0 else (),
        is_depthwise=is_depthwise(operator.kind),
        reason=other_shape if depends else reason,
    )


def _byte_count(tensors: list[TfliteTensor | None]) -> int | None:
    counts = [tensor.byte_count for tensor in tensors if tensor is not None]
    return None if None in counts else sum(count or 0 for count in counts)


def _origins(graph: TfliteGraph) -> dict[int, int]:
    """Return the stored tensor behind each tensor that is one, or is nothing but one handed on."""
    origins = {index: index for index, tensor in enumerate(graph.tensors) if tensor.is_stored}
    for operator in graph.operators:
        first = operator.inputs[0] if operator.inputs else -1
        if operator.kind in _CARRIERS and first in origins:
            origins |= {made: origins[first] for made in operator.outputs if made >= 0}
    return origins


def _parameters(graph: TfliteGraph, operator: TfliteOperator, origins: dict[int, int]) -> dict[int, int]:
    if operator.kind in _CARRIERS:
        return {}
    multiplies = weight_index(operator.kind) is not None
    found = {}
    for at, index in enumerate(operator.inputs):
        origin = origins.get(index)
        if origin is None:
            continue
        tensor = graph.tensors[origin]
        # Whole numbers of 32 and 64 bits are biases of quantized layers; elsewhere, and as the first input of a
        # transposed convolution, they are shapes and indices.
        is_bias = multiplies and tensor.dtype in ("int32", "int64") and at > 1
        if tensor.dtype in _WEIGHT_DTYPES or is_bias:
            found[origin] = tensor.size
    return found
