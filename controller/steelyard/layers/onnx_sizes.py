"""Sizes that a graph computes from shapes (Shape, Gather, Slice and the like), evaluated once those shapes are known.

The onnx package's own propagation follows few operators: behind a Slice of position ids by a sequence's length, as
transformers have it, no shape is known any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

# Position ids of the longest contexts are not worth evaluating; rows of sizes, and those of common encoders, are.
_MOST_ELEMENTS = 4096
_DOMAINS = frozenset({"", "ai.onnx"})
_EVALUATED = frozenset(
    {"Add", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Floor", "Gather", "Identity", "Max", "Min"}
    | {"Mul", "ReduceProd", "Reshape", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"}
)


def fold_sizes(model: ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorProto]:
    """Put the values of nodes that compute sizes in the place of these nodes, and return those tensors by name.

    Args:
        model: Changed.
        shapes: What is known of tensors.
    """
    from onnx import numpy_helper

    values = _small_tensors(model)
    folded: dict[str, TensorProto] = {}
    for node in list(model.graph.node):
        value = _value(node, model, shapes, values)
        if value is None or value.size > _MOST_ELEMENTS:
            continue
        name = node.output[0]
        values[name], folded[name] = value, numpy_helper.from_array(value, name)
        model.graph.node.remove(node)
    model.graph.initializer.extend(folded.values())
    return folded


def _small_tensors(model: ModelProto) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.domain in _DOMAINS:
            tensors.update((node.output[0], one.t) for one in node.attribute if one.name == "value")
    small = {name: tensor for name, tensor in tensors.items() if math.prod(tensor.dims) <= _MOST_ELEMENTS}
    return {name: numpy_helper.to_array(tensor) for name, tensor in small.items() if not tensor.external_data}


def _value(
    node: NodeProto, model: ModelProto, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, NDArray[Any]]
) -> NDArray[Any] | None:
    import numpy as np

    if node.domain not in _DOMAINS or len(node.output) != 1:
        return None
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0])
        bounds = {one.name: one.i for one in node.attribute}
        return None if shape is None else np.array(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)
    if node.op_type not in _EVALUATED or any(name and name not in values for name in node.input):
        return None
    given = {name: values[name] for name in node.input if name}
    if node.op_type == "ConstantOfShape" and math.prod(map(int, given[node.input[0]])) > _MOST_ELEMENTS:
        return None
    return _evaluated(node, model, given)


def _evaluated(node: NodeProto, model: ModelProto, given: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    import numpy as np
    from onnx import TypeProto, ValueInfoProto, helper
    from onnx.reference import ReferenceEvaluator

    inputs = [ValueInfoProto(name=name) for name in given]
    for value, array in zip(inputs, given.values(), strict=True):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        value.type.CopyFrom(helper.make_tensor_type_proto(kind, array.shape))
    graph = helper.make_graph([node], "sizes", inputs, [ValueInfoProto(name=node.output[0], type=TypeProto())])
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        (value,) = ReferenceEvaluator(alone).run(None, dict(given))
    except Exception:  # noqa: BLE001  (what it cannot evaluate stays unknown)
        return None
    return np.asarray(value)
