"""Which ONNX files a runtime sees alike: the same operators on the same shapes and types, with other weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# Sizes, axes and the like: what a kernel is chosen by. Longer integers are weights and biases.
_LONGEST_SETTING = 64


def form_of(path: Path) -> str:
    """Return a digest of what kernels are chosen by: two ONNX files with one differ in weights and scales only.

    Shapes and types count, integers that say sizes and axes, settings of operators, and whether a zero point is its
    type's lowest value, which decides whether onnxruntime drops an activation. Names do not count. Any other file has
    a form of its own: LiteRT also looks at zeros among the weights.
    """
    if path.suffix != ".onnx":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    import onnx

    model = onnx.load_model(path)
    told = [repr(sorted((one.domain, one.version) for one in model.opset_import)), *_graph_form(model.graph)]
    told += [line for one in model.functions for line in (one.name, *_nodes_form(one.node, {}))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _graph_form(graph: onnx.GraphProto) -> list[str]:
    # Tensors are known by the order in which they come, whatever a step called them.
    numbers: dict[str, str] = {}
    for one in graph.input:
        numbers.setdefault(one.name, f"input {len(numbers)} {one.type.SerializeToString(deterministic=True)!r}")
    for tensor in graph.initializer:
        numbers[tensor.name] = _tensor_form(tensor)
    lines = _nodes_form(graph.node, numbers)
    return [*lines, *(numbers.get(one.name, one.name) for one in graph.output)]


def _nodes_form(nodes: object, numbers: dict[str, str]) -> list[str]:
    lines = []
    for index, node in enumerate(nodes):  # type: ignore[call-overload]
        inputs = [numbers.get(name, name) for name in node.input]
        settings = sorted(_setting_form(one) for one in node.attribute)
        lines.append(f"{node.domain} {node.op_type} {inputs} {settings}")
        numbers.update({name: f"{index}.{place}" for place, name in enumerate(node.output) if name})
    return lines


def _setting_form(attribute: onnx.AttributeProto) -> str:
    if attribute.HasField("t"):
        return f"{attribute.name} {_tensor_form(attribute.t)}"
    if attribute.HasField("g"):
        return f"{attribute.name} {_graph_form(attribute.g)}"
    return f"{attribute.SerializeToString(deterministic=True)!r}"


def _tensor_form(tensor: onnx.TensorProto) -> str:
    import numpy as np
    from onnx import numpy_helper

    kind = f"{tensor.data_type} {list(tensor.dims)}"
    values = numpy_helper.to_array(tensor)
    if values.dtype in (np.int64, np.bool_) and values.size <= _LONGEST_SETTING:
        return f"{kind} {values.tolist()}"
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2 and values.size == 1:
        return f"{kind} lowest {bool(values.reshape(-1)[0] == np.iinfo(values.dtype).min)}"
    return kind
