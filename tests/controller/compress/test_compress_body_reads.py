"""An If whose body reads a Relu of the graph around it reads the clipped values, quantized too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.preparation.body_reads import keep_body_reads
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import compress
from steelyard.tasks.packing import pack_all


def _model(rng: np.random.Generator) -> onnx.ModelProto:
    def branch(name: str, factor: float) -> onnx.GraphProto:
        nodes = [
            helper.make_node("Constant", [], [f"{name}_f"], value=numpy_helper.from_array(np.float32(factor))),
            helper.make_node("Mul", ["h", f"{name}_f"], [f"{name}_y"]),
        ]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)])

    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["s"], name="first"),
        helper.make_node("Relu", ["s"], ["h"], name="clipped"),
        helper.make_node("MatMul", ["h", "b"], ["z"], name="second"),
        helper.make_node("ReduceMax", ["z"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "high"], ["is_high"]),
        helper.make_node("If", ["is_high"], ["y"], then_branch=branch("then", 2.0), else_branch=branch("else", 1.0)),
    ]
    held = {
        "a": rng.standard_normal((16, 16)).astype(np.float32),
        "b": rng.standard_normal((16, 16)).astype(np.float32),
        "high": np.float32(1e6),
    }
    graph = helper.make_graph(
        nodes,
        "reads",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 16])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _ran(model: bytes | str, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def test_the_identity_changes_no_value_and_is_put_in_once() -> None:
    rng = np.random.default_rng(0)
    model = _model(rng)
    x = rng.standard_normal((3, 16)).astype(np.float32)
    before = _ran(model.SerializeToString(), x)
    assert keep_body_reads(model) == 1
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(_ran(model.SerializeToString(), x), before)
    assert keep_body_reads(model) == 0


@pytest.mark.parametrize("recipe", ["static-int8", "static-int8+bias-correction"])
def test_a_body_reads_clipped_values_when_the_graph_is_quantized(tmp_path: Path, recipe: str) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "reads.onnx"
    onnx.save_model(_model(rng), path)
    x = rng.standard_normal((64, 16)).astype(np.float32)
    made = compress(
        path,
        load_recipe(recipe),
        calibration=pack_all({"x": x}),
        seed=0,
        processor_features=(),
        out_dir=tmp_path / "out",
    )
    found, expected = _ran(str(made.path), x), _ran(str(path), x)
    assert found.min() >= 0.0
    assert 20 * np.log10(np.linalg.norm(expected) / np.linalg.norm(found - expected)) > 25
