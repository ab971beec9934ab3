"""The final bytes of an ONNX variant hold what something uses, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.finishing import final_bytes


def tensor(name: str) -> TensorProto:
    return numpy_helper.from_array(np.ones(3, np.float32), name)


def written(path: Path) -> Path:
    """A model whose tensors are read by a node, in a branch, given out, or nothing."""
    value = helper.make_tensor_value_info
    branches = {
        name: helper.make_graph(
            [helper.make_node(name, ["read_in_a_branch"], ["made"])], name, [], [value("made", TensorProto.FLOAT, [3])]
        )
        for name in ("Neg", "Abs")
    }
    nodes = [
        helper.make_node("Add", ["x", "read"], ["sum"]),
        helper.make_node("If", ["which"], ["chosen"], then_branch=branches["Neg"], else_branch=branches["Abs"]),
        helper.make_node("Mul", ["sum", "chosen"], ["y"]),
    ]
    names = ("read", "read_in_a_branch", "given_out", "y_scale", "y_zero_point")
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [3]), value("which", TensorProto.BOOL, [])],
        [value("y", TensorProto.FLOAT, [3]), value("given_out", TensorProto.FLOAT, [3])],
        [tensor(name) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return path


def test_tensors_that_nothing_reads_are_left_out(tmp_path: Path) -> None:
    kept = onnx.load_from_string(final_bytes(written(tmp_path / "m.onnx")))
    onnx.checker.check_model(kept)
    names = {one.name for one in kept.graph.initializer}
    assert names == {"read", "read_in_a_branch", "given_out"}
