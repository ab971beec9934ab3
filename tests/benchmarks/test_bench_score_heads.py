"""The added score is the largest logit of all anchors, and the outputs that were there stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from benchmarks.compression.score_heads import SCORE, add_onnx_score, add_tflite_score
from onnx import TensorProto, helper

from steelyard.compress.tflite.flatbuffer_model import read_model
from steelyard.compress.tflite.graph import Graph
from steelyard.compress.tflite.sessions import open_session
from tests.support.tflite_nets import Net


def _detector(path: Path, sizes: list[list[int]]) -> None:
    """Write a model whose outputs are its inputs."""
    names = [f"level{index}" for index in range(len(sizes))]
    nodes = [helper.make_node("Identity", [f"in_{name}"], [name]) for name in names]
    made = [
        [
            helper.make_tensor_value_info(f"{prefix}{name}", TensorProto.FLOAT, size)
            for name, size in zip(names, sizes, strict=True)
        ]
        for prefix in ("in_", "")
    ]
    graph = helper.make_graph(nodes, "levels", *made)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8), path)


def test_the_onnx_score_is_the_largest_logit_of_all_levels(tmp_path: Path) -> None:
    sizes = [[1, 6, 1], [1, 3, 1], [1, 6, 4]]
    _detector(tmp_path / "plain.onnx", sizes)
    add_onnx_score(tmp_path / "plain.onnx", tmp_path / "scored.onnx")
    rng = np.random.default_rng(2)
    feed = {f"in_level{index}": rng.normal(size=size).astype(np.float32) for index, size in enumerate(sizes)}
    # Boxes are no scores, however large.
    feed["in_level2"] += 100
    session = ort.InferenceSession(tmp_path / "scored.onnx")
    assert [one.name for one in session.get_outputs()] == ["level0", "level1", "level2", SCORE]
    expected = max(feed["in_level0"].max(), feed["in_level1"].max())
    assert session.run([SCORE], feed)[0].tolist() == [[expected]]


def test_a_model_without_logits_is_refused(tmp_path: Path) -> None:
    _detector(tmp_path / "boxes.onnx", [[1, 6, 4]])
    with pytest.raises(ValueError, match=r"boxes.onnx has no output \[1, A, 1\]"):
        add_onnx_score(tmp_path / "boxes.onnx", tmp_path / "scored.onnx")


def test_the_tflite_score_is_the_largest_logit(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("in", (1, 6, 1))
    logits, boxes = net.tensor("logits", (1, 6, 1)), net.tensor("boxes", (1, 6, 4))
    net.operator("NEG", [source], [logits], "NegOptions")
    net.operator("TILE", [source, net.constant(np.array([1, 1, 4], np.int32))], [boxes], "TileOptions")
    net.write(tmp_path / "plain.tflite", [source], [boxes, logits])
    add_tflite_score(tmp_path / "plain.tflite", tmp_path / "scored.tflite")
    session = open_session(tmp_path / "scored.tflite")
    assert [one.name for one in session.outputs] == ["boxes", "logits", SCORE]
    values = np.random.default_rng(4).normal(size=(1, 6, 1)).astype(np.float32)
    found = session.run({"in": values})
    np.testing.assert_array_equal(found[1], -values)
    assert found[2].tolist() == [[-values.min()]]


def test_a_tflite_model_with_two_outputs_of_logits_is_refused(tmp_path: Path) -> None:
    net = Net()
    source, one, other = net.tensor("in", (1, 6, 1)), net.tensor("one", (1, 6, 1)), net.tensor("other", (1, 6, 1))
    net.operator("NEG", [source], [one], "NegOptions")
    net.operator("NEG", [one], [other], "NegOptions")
    net.write(tmp_path / "two.tflite", [source], [one, other])
    with pytest.raises(ValueError, match=r"two.tflite has 2 outputs \[1, A, 1\], not one"):
        add_tflite_score(tmp_path / "two.tflite", tmp_path / "scored.tflite")


def test_float16_weights_become_float32_and_the_answers_stay(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("in", (1, 6, 1))
    packed = net.constant(np.arange(6, dtype=np.float16).reshape(1, 6, 1) / 8)
    weights, logits = net.tensor("weights", (1, 6, 1)), net.tensor("logits", (1, 6, 1))
    net.operator("DEQUANTIZE", [packed], [weights], "DequantizeOptions")
    net.operator("MUL", [source, weights], [logits], "MulOptions")
    net.write(tmp_path / "plain.tflite", [source], [logits])
    add_tflite_score(tmp_path / "plain.tflite", tmp_path / "scored.tflite")
    graph = Graph(read_model(tmp_path / "scored.tflite"))
    assert [graph.kind(one) for one in graph.operators] == ["MUL", "REDUCE_MAX"]
    assert sorted(graph.name(index) for index in range(len(graph.tensors))) == [
        "in",
        "logits",
        "score",
        "score_axes",
        "weights",
    ]
    values = np.random.default_rng(5).normal(size=(1, 6, 1)).astype(np.float32)
    found = open_session(tmp_path / "scored.tflite").run({"in": values})
    np.testing.assert_array_equal(found[0], values * (np.arange(6, dtype=np.float32).reshape(1, 6, 1) / 8))
