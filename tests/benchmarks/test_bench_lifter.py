"""The round trips of the lifter: what counts, and zoo topologies whose outputs follow their inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from benchmarks.results_file import Run
from benchmarks.training.lifter import verdict
from benchmarks.training.zoo_topologies import with_random_weights
from onnx import TensorProto, helper, numpy_helper

from steelyard.train.parity import file_outputs, relative_difference

GOOD = {"model": "good", "module_difference": 1e-6, "file_difference": 0.0, "change": 0.3}


def run_of(*rounds: dict[str, Any]) -> Run:
    return Run(machine="m", versions={}, settings={}, rounds=rounds, first_day="d", last_day="d")


def test_models_with_control_flow_and_quantized_ones_do_not_count() -> None:
    outside = [{"model": name, "refused": name} for name in ("control_flow", "already_quantized")]
    assert "1 of 1" in verdict(run_of(GOOD, *outside))


@pytest.mark.parametrize(
    "bad",
    [
        {"model": "bad", "refused": "unknown_op"},
        {**GOOD, "model": "bad", "file_difference": 1e-3},
        {**GOOD, "model": "bad", "change": 0.0},
    ],
)
def test_a_refusal_a_difference_and_outputs_that_never_change_are_told(bad: dict[str, Any]) -> None:
    assert "1 of 2, not bad" in verdict(run_of(GOOD, bad))


def zoo_like(path: Path) -> Path:
    """A topology as the onnx package carries them: weights of one value, made by ConstantOfShape."""
    filled = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.02])
    nodes = [
        helper.make_node("ConstantOfShape", ["w_shape"], ["w"], value=filled),
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("ConstantOfShape", ["g_shape"], ["g"], value=filled),
        helper.make_node("Gemm", ["f", "g", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    arrays = {"w_shape": np.array([8, 3, 3, 3]), "g_shape": np.array([8, 5]), "b": np.full(5, 0.02, np.float32)}
    graph = helper.make_graph(
        nodes,
        "zoo",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 9, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(values, name) for name, values in arrays.items()],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4), path)
    return path


def test_drawn_weights_are_the_same_for_a_seed_and_make_outputs_follow_inputs(tmp_path: Path) -> None:
    source = zoo_like(tmp_path / "zoo.onnx")
    assert with_random_weights(source, tmp_path / "one.onnx", seed=1) == 3
    with_random_weights(source, tmp_path / "same.onnx", seed=1)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "same.onnx").read_bytes()
    stored = {one.name: numpy_helper.to_array(one) for one in onnx.load_model(tmp_path / "one.onnx").graph.initializer}
    assert stored["w"].std() == pytest.approx(np.sqrt(2 / 27), rel=0.2)
    first, second = (
        file_outputs(
            tmp_path / "one.onnx", {"x": np.random.default_rng(seed).standard_normal((1, 3, 9, 9), np.float32)}
        )
        for seed in (1, 2)
    )
    assert relative_difference(second["y"], first["y"]) > 1e-3
