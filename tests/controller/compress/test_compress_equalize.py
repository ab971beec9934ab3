"""Equalization evens channels out and changes no output; where it could, it leaves the model alone and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from steelyard.compress.equalization.groups import ChannelGroups, ScaleGroup
from steelyard.compress.equalization.layer_weights import LayerWeights
from steelyard.compress.equalization.scaling import equalize, weight_noise
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.steps.equalize import Equalize
from tests.controller.compress.repair_models import (
    CHANNELS,
    Net,
    calibration,
    context_for,
    depthwise_net,
    outputs,
    quantized,
    repaired,
    sqnr_db,
)


def _equalized(float_path: Path, step: Equalize | None = None, *, samples: int = 0) -> tuple[Path, tuple[str, ...]]:
    data = calibration(samples) if samples else None
    path, report = repaired(step or Equalize(), float_path, context_for(float_path.parent / "work", float_path, data))
    return path, report.notes


def _weights(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model(path).graph.initializer}


def _spread(weight: np.ndarray) -> float:
    """Return the ratio of the largest range of an output channel to the smallest."""
    ranges = np.abs(weight).max(axis=tuple(range(1, weight.ndim)))
    return float(ranges.max() / ranges.min())


@pytest.mark.parametrize("imbalance", [1, 100, 10_000])
def test_an_equalized_model_computes_the_same(tmp_path: Path, imbalance: float) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=imbalance)
    expected = outputs(float_path)
    path, _ = _equalized(float_path)
    np.testing.assert_allclose(outputs(path), expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))


def test_a_planted_imbalance_is_gone_and_int8_per_tensor_is_as_good_as_without_it(tmp_path: Path) -> None:
    data = calibration()
    balanced = depthwise_net(tmp_path / "balanced.onnx")
    planted = depthwise_net(tmp_path / "planted.onnx", imbalance=300)
    expected = outputs(balanced)
    path, _ = _equalized(planted)
    assert _spread(_weights(planted)["layer1_w"]) > 100
    assert _spread(_weights(path)["layer1_w"]) < 2
    healthy = sqnr_db(expected, outputs(quantized(balanced, data, per_channel=False)))
    broken = sqnr_db(expected, outputs(quantized(planted, data, per_channel=False)))
    brought_back = sqnr_db(expected, outputs(quantized(path, data, per_channel=False)))
    assert broken < healthy - 20
    assert brought_back > healthy - 3


def test_layers_of_like_ranges_are_left_alone_and_uneven_ones_are_not(tmp_path: Path) -> None:
    even = depthwise_net(tmp_path / "even.onnx")
    path, notes = _equalized(even, Equalize(least_gain=2.0))
    assert "like ranges already" in notes[0]
    before, after = _weights(even), _weights(path)
    assert all(np.array_equal(before[name], after[name]) for name in before if name.endswith("_w"))
    uneven = depthwise_net(tmp_path / "uneven.onnx", imbalance=100)
    assert "5 of 6 layers" in _equalized(uneven, Equalize(least_gain=2.0))[1][0]


def test_the_noise_of_weights_is_estimated_from_the_ranges_of_both_sides() -> None:
    scale = np.array([1.0, 0.1, 0.01])
    weight = np.ones((3, 3, 1, 1))
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    first = LayerWeights(node, weight * scale.reshape(-1, 1, 1, 1), None)
    group = ScaleGroup(producers=[first], consumers=[LayerWeights(node, weight, None)])
    signal = np.square(scale).sum()
    assert weight_noise(group) == pytest.approx((3 + signal) / signal)
    equalize([group], most_passes=1)
    # Both sides meet at the root of the planted ranges, whose largest is 1.
    assert weight_noise(group) == pytest.approx(2 * scale.sum() / signal)


def test_ranges_of_both_sides_meet_at_their_geometric_mean() -> None:
    first = _conv(np.diag([4.0, 1.0]))
    second = _conv(np.diag([1.0, 4.0]))
    equalize([ScaleGroup(producers=[first], consumers=[second])], most_passes=1)
    np.testing.assert_allclose(first.output_ranges(), [2.0, 2.0])
    np.testing.assert_allclose(second.input_ranges(2), [2.0, 2.0])


def test_a_dead_channel_is_left_alone() -> None:
    first, second = _conv(np.diag([4.0, 0.0])), _conv(np.eye(2))
    equalize([ScaleGroup(producers=[first], consumers=[second])], most_passes=5)
    np.testing.assert_allclose(first.output_ranges(), [2.0, 0.0])
    np.testing.assert_allclose(second.input_ranges(2), [2.0, 1.0])


@pytest.mark.parametrize(
    ("op", "shape", "attributes"),
    [
        ("Conv", (6, 2, 3, 3), {"group": 2}),
        ("Conv", (4, 1, 3), {"group": 4}),
        ("ConvTranspose", (4, 3, 2, 2), {"group": 2}),
        ("Gemm", (4, 6), {}),
        ("Gemm", (6, 4), {"transB": 1}),
        ("MatMul", (4, 6), {}),
    ],
)
def test_a_layer_divided_at_its_outputs_and_multiplied_at_its_inputs_computes_the_scaled_outputs(
    op: str, shape: tuple[int, ...], attributes: dict[str, int]
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(shape).astype(np.float32)
    node = onnx.helper.make_node(op, ["x", "w"], ["y"], **attributes)
    layer = LayerWeights(node, weight, None)
    rank = len(shape) - 2 if op.startswith("Conv") else 0
    inputs = rng.standard_normal((2, 4, *[5] * rank)).astype(np.float32)
    taken, given = rng.uniform(0.5, 2.0, 4), rng.uniform(0.5, 2.0, layer.output_count)
    layer.multiply_inputs(taken)
    layer.divide_outputs(given)
    trailing = [1] * rank
    run = onnxruntime.InferenceSession(_one_node_model(node).SerializeToString()).run
    (before,) = run(None, {"x": inputs, "w": weight})
    scaled = (inputs / taken.reshape(1, -1, *trailing)).astype(np.float32)
    (after,) = run(None, {"x": scaled, "w": layer.weight()})
    np.testing.assert_allclose(after * given.reshape(1, -1, *trailing), before, rtol=1e-3, atol=1e-4)


def _residual(path: Path, *, gives_out: bool = False) -> Path:
    """Write two branches that an Add joins; with ``gives_out`` one operator reads the sum that no scale passes."""
    net = Net(5)
    scale = np.exp(np.linspace(-2, 2, 8))
    stem = net.node("Relu", [net.conv("image", "stem", 1, 8, kernel=3, output_scale=scale)], "stem_act")
    left = net.conv(stem, "left", 8, 8, input_scale=scale, output_scale=scale)
    joined = net.node("Add", [left, stem], "joined")
    if gives_out:
        joined = net.node("Sigmoid", [joined], "curved")
    net.head(net.conv(joined, "last", 8, 8, input_scale=scale), 8)
    return net.write(path)


def test_the_terms_of_a_residual_sum_scale_alike(tmp_path: Path) -> None:
    float_path = _residual(tmp_path / "m.onnx")
    path, notes = _equalized(float_path, Equalize(least_gain=0.0))
    expected = outputs(float_path)
    np.testing.assert_allclose(outputs(path), expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))
    group = max(ChannelGroups(onnx.load_model(path)).groups, key=lambda one: len(one.producers))
    assert (len(group.producers), len(group.consumers)) == (2, 2)
    assert _spread(_weights(path)["stem_w"]) < _spread(_weights(float_path)["stem_w"])
    assert "4 of 4 layers" in notes[0]


def test_a_sum_that_another_operator_reads_is_left_alone(tmp_path: Path) -> None:
    float_path = _residual(tmp_path / "m.onnx", gives_out=True)
    path, notes = _equalized(float_path, Equalize(least_gain=0.0))
    np.testing.assert_array_equal(_weights(path)["stem_w"], _weights(float_path)["stem_w"])
    assert "2 of 4 layers" in notes[0]


def test_a_capped_activation_is_not_scaled_across_by_default(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=100, cap=1e6)
    path, _ = _equalized(float_path)
    np.testing.assert_array_equal(_weights(path)["layer1_w"], _weights(float_path)["layer1_w"])


def test_a_cap_that_no_sample_reaches_becomes_a_relu_when_asked(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=100, cap=1e6)
    path, notes = _equalized(float_path, Equalize(capped="replace-unreached"), samples=16)
    assert {node.op_type for node in onnx.load_model(path).graph.node} >= {"Relu"}
    assert _spread(_weights(path)["layer1_w"]) < 3
    assert any("became Relu" in note for note in notes)
    expected = outputs(float_path)
    np.testing.assert_allclose(outputs(path), expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))


def test_a_cap_that_samples_reach_stays(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", cap=0.5)
    path, notes = _equalized(float_path, Equalize(capped="replace-unreached"), samples=16)
    assert "Relu" not in {node.op_type for node in onnx.load_model(path).graph.node}
    assert not any("became Relu" in note for note in notes)


def _high_bias(path: Path) -> Path:
    net = Net(2)
    hidden = net.conv("image", "first", 1, CHANNELS, kernel=3)
    net.tensors[-1].CopyFrom(numpy_helper.from_array(np.full(CHANNELS, 40.0, dtype=np.float32), "first_b"))
    net.head(net.conv(net.node("Relu", [hidden], "act"), "second", CHANNELS, 8), 8)
    return net.write(path)


def test_a_constant_part_above_zero_moves_into_the_next_bias(tmp_path: Path) -> None:
    float_path = _high_bias(tmp_path / "m.onnx")
    path, notes = _equalized(float_path, Equalize(absorb_high_bias=True), samples=32)
    assert any(f"the constant part of {CHANNELS} channels" in note for note in notes)
    expected = outputs(float_path)
    assert sqnr_db(expected, outputs(path)) > 40
    data = calibration()
    plain = sqnr_db(expected, outputs(quantized(_equalized(float_path)[0], data)))
    path, _ = _equalized(float_path, Equalize(absorb_high_bias=True), samples=32)
    assert sqnr_db(expected, outputs(quantized(path, data))) > plain + 1.5


@pytest.mark.parametrize("step", [Equalize(capped="replace-unreached"), Equalize(absorb_high_bias=True)])
def test_what_reads_calibration_data_asks_for_it(tmp_path: Path, step: Equalize) -> None:
    with pytest.raises(CompressionInputError, match="calibration split"):
        _equalized(depthwise_net(tmp_path / "m.onnx", cap=6.0), step)


@pytest.mark.parametrize("settings", [{"capped": "never"}, {"absorb_high_bias": 1}, {"passes": 0}])
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(settings))):
        Equalize(**settings)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=10)
    first = _equalized(float_path)[0].read_bytes()
    assert _equalized(float_path)[0].read_bytes() == first


def _conv(matrix: np.ndarray) -> LayerWeights:
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    return LayerWeights(node, matrix.reshape(*matrix.shape, 1, 1).astype(np.float32), None)


def _one_node_model(node: onnx.NodeProto) -> onnx.ModelProto:
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "w")]
    outputs_ = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    graph = onnx.helper.make_graph([node], "one", inputs, outputs_)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
