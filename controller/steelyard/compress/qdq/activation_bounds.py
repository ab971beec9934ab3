"""Between which values a layer's output reaches what lies behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steelyard.compress.qdq.graph import QdqGraph, Unit, to_array

if TYPE_CHECKING:
    from onnx import NodeProto

_ACTIVATIONS = frozenset({"Relu", "Clip"})


def activation_bounds(graph: QdqGraph, unit: Unit) -> tuple[float, float]:
    """Return the bounds of the Relu or Clip that alone reads the float layer; infinite without one."""
    output = unit.float_node.output[0]
    readers = [node for node in graph.float_model.graph.node if output in node.input]
    is_given_out = any(value.name == output for value in graph.float_model.graph.output)
    if len(readers) != 1 or is_given_out or readers[0].op_type not in _ACTIVATIONS:
        return -np.inf, np.inf
    if readers[0].op_type == "Relu":
        return 0.0, np.inf
    return _bound(graph, readers[0], 1, -np.inf), _bound(graph, readers[0], 2, np.inf)


def _bound(graph: QdqGraph, node: NodeProto, index: int, default: float) -> float:
    name = node.input[index] if len(node.input) > index else ""
    # Exporters store it as a scalar or as one value in a list.
    return float(to_array(graph.float_tensors[name]).reshape(-1)[0]) if name in graph.float_tensors else default
