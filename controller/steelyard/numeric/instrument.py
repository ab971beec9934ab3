"""A copy of an ONNX model with the outputs of its layers among its outputs, for finding the first one that diverges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.artifact_formats.onnx_file import parse_onnx
from steelyard.layers.onnx_shapes import Tensors, known_tensors
from steelyard.numeric.errors import NotCheckableError
from steelyard.numeric.outputs import MOST_LAYERS

if TYPE_CHECKING:
    from onnx import ModelProto

# Of one inference; what comes back of a device's layers.
_MOST_BYTES = 64 * 1024 * 1024
# Beyond it protobuf writes no message.
_LARGEST_MODEL_BYTES = (1 << 31) - 1


def with_layers(path: Path, *, input_shapes: Mapping[str, Sequence[int]], batch_size: int) -> bytes:
    """Return the copy; layers come in the model's order, as many of them as a bound of bytes and of number allows.

    What follows from stored tensors alone is left out, and so is what has no known size.

    Raises:
        InvalidModelError: the file is no ONNX model.
        NotCheckableError: there is no layer to be looked at, or the copy cannot be written.
    """
    model = parse_onnx(path, path.read_bytes())
    tensors = known_tensors(model, input_shapes, batch_size)
    chosen = _chosen(model, tensors)
    if not chosen:
        raise NotCheckableError("no layer of this model has a known size, or each is an output already")
    for name in chosen:
        value = model.graph.output.add(name=name)
        # Without a shape: the runtime knows it.
        value.type.tensor_type.elem_type = tensors.types[name]
    if model.ByteSize() >= _LARGEST_MODEL_BYTES:
        raise NotCheckableError("the model is too large to be copied with its layers as outputs")
    return bytes(model.SerializeToString())


def _chosen(model: ModelProto, tensors: Tensors) -> list[str]:
    stored = set(tensors.stored)
    outputs = {value.name for value in model.graph.output}
    chosen: list[str] = []
    left_bytes = _MOST_BYTES
    for node in model.graph.node:
        # A node without inputs and subgraphs makes a constant; one with a subgraph reads names that it does not list.
        if all(name in stored or not name for name in node.input) and not _has_graph(node):
            stored.update(node.output)
            continue
        for name in node.output:
            size = tensors.byte_count(name) if name and name not in outputs else None
            if size is None:
                continue
            if size > left_bytes or len(chosen) == MOST_LAYERS:
                return chosen
            left_bytes -= size
            chosen.append(name)
    return chosen


def _has_graph(node: object) -> bool:
    return any(attribute.HasField("g") for attribute in getattr(node, "attribute", ()))
