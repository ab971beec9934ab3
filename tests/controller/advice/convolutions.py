"""A model of convolutions alone, of which nothing can be quantized without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def convolutions_only(path: Path) -> Path:
    """Write x [1, 4, 8, 8] -> Conv 3x3 -> Relu -> Conv 3x3 -> y [1, 4, 4, 4]."""
    rng = np.random.default_rng(0)
    kernels = [
        numpy_helper.from_array(rng.standard_normal((4, 4, 3, 3)).astype(np.float32), name) for name in ("w", "v")
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "v"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    inputs, outputs = value("x", TensorProto.FLOAT, [1, 4, 8, 8]), value("y", TensorProto.FLOAT, [1, 4, 4, 4])
    graph = helper.make_graph(nodes, "convolutions", [inputs], [outputs], kernels)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]), str(path))
    return path
