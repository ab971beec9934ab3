"""Bias correction takes off what quantization adds to the means of channels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.calibration import read_calibration
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.qdq.pairing import read_pair
from steelyard.compress.steps.bias_correction import BiasCorrection
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.tasks.packing import VALUES_SUFFIX
from tests.controller.compress.repair_models import (
    Net,
    calibration,
    context_for,
    depthwise_net,
    outputs,
    quantized,
    repaired,
    sqnr_db,
)


def _without_biases(path: Path) -> Path:
    net = Net(4)
    scale = np.exp(np.linspace(-3, 3, 16))
    first = net.node("Relu", [net.conv("image", "first", 1, 16, kernel=3, has_bias=False, output_scale=scale)], "act")
    net.head(net.conv(first, "second", 16, 16, has_bias=False, input_scale=scale), 16)
    return net.write(path)


def _channel_bias(expected: np.ndarray, given: np.ndarray) -> float:
    """Return the size of the mean error a channel."""
    return float(np.linalg.norm((given - expected).mean(axis=0)))


def _repair(float_path: Path, step: BiasCorrection, **settings: Any) -> tuple[Path, Path, tuple[str, ...]]:
    data = calibration(64)
    model = quantized(float_path, data, **settings)
    path, report = repaired(step, model, context_for(float_path.parent / "work", float_path, data))
    return model, path, report.notes


@pytest.mark.parametrize("per_channel", [True, False])
def test_layer_by_layer_correction_brings_a_planted_imbalance_nearer(tmp_path: Path, per_channel: bool) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=30)
    expected = outputs(float_path)
    broken, path, notes = _repair(float_path, BiasCorrection(), per_channel=per_channel)
    assert sqnr_db(expected, outputs(path)) > sqnr_db(expected, outputs(broken)) + 6
    assert _channel_bias(expected, outputs(path)) < 0.2 * _channel_bias(expected, outputs(broken))
    assert "the biases of 6 layers were shifted" in notes[0]


def _two_regimes(path: Path) -> Path:
    """Write a layer whose weight for the second input loses 0.4 of a step; that input makes the output negative."""
    net = Net()
    weight = np.array([[100.0, -126.4], [127.0, 127.0]]).reshape(2, 2, 1, 1)
    names = ["image", net.store("w", weight), net.store("b", np.zeros(2))]
    net.node("Relu", [net.node("Conv", names, "first")], "logits")
    graph = helper.make_graph(
        net.nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 1, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2, 1, 1])],
        net.tensors,
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def test_errors_that_a_relu_throws_away_move_no_bias(tmp_path: Path) -> None:
    float_path = _two_regimes(tmp_path / "m.onnx")
    samples = np.zeros((64, 2, 1, 1), np.float32)
    drawn = np.random.default_rng(0).uniform(0.2, 1.0, 64)
    samples[np.arange(64), np.arange(64) % 2, 0, 0] = drawn
    packed = io.BytesIO()
    np.savez(packed, **{f"image{VALUES_SUFFIX}": samples})
    data = read_calibration(packed.getvalue())
    model = quantized(float_path, data, per_channel=False)
    path, _ = repaired(BiasCorrection(), model, context_for(tmp_path / "work", float_path, data))
    (unit,) = read_pair(path, float_path, tmp_path, kind="test").layers
    graph = read_pair(path, float_path, tmp_path, kind="test")
    moved = np.abs(graph.dequantized(unit.bias)) if unit.bias is not None else np.zeros(2)
    # A mean over all values would take it off by half of 0.4 times the mean of the second input.
    assert moved[0] < 0.2 * 0.5 * 0.4 * drawn.mean()


def test_only_biases_change(tmp_path: Path) -> None:
    broken, path, _ = _repair(depthwise_net(tmp_path / "m.onnx", imbalance=30), BiasCorrection())
    before, after = _tensors(broken), _tensors(path)
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert all(before[name].dtype == np.int32 for name in changed)


def test_layers_without_a_bias_get_one_that_integer_kernels_take(tmp_path: Path) -> None:
    float_path = _without_biases(tmp_path / "m.onnx")
    expected = outputs(float_path)
    broken, path, _ = _repair(float_path, BiasCorrection(), per_channel=False)
    model = onnx.load_model(path)
    onnx.checker.check_model(model)
    added = {name: values for name, values in _tensors(path).items() if name.endswith("_added_bias")}
    assert len(added) == 2
    assert all(values.dtype == np.int32 and values.any() for values in added.values())
    assert sqnr_db(expected, outputs(path)) > sqnr_db(expected, outputs(broken)) + 3
    assert _kernels(path, tmp_path)["QLinearConv"] == 2


def test_all_at_once_measures_every_layer_in_one_pass(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=30)
    data = calibration(64)
    told: list[tuple[int, int]] = []
    context = context_for(tmp_path / "work", float_path, data)
    object.__setattr__(context, "progress", lambda message, done, total: told.append((done, total)))
    model = quantized(float_path, data)
    path, _ = repaired(BiasCorrection(order="at-once"), model, context)
    assert told == [(0, 1), (1, 1)]
    before, after = _tensors(model), _tensors(path)
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx")
    first = _repair(float_path, BiasCorrection())[1].read_bytes()
    assert _repair(float_path, BiasCorrection())[1].read_bytes() == first


def test_a_recipe_without_a_float_ancestor_is_refused(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx")
    data = calibration()
    context = context_for(tmp_path / "work", float_path, data)
    object.__setattr__(context, "ancestors", ())
    with pytest.raises(CompressionInputError, match="bias-correction compares with the float32 model"):
        repaired(BiasCorrection(), quantized(float_path, data), context)


def test_missing_calibration_data_is_asked_for(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx")
    context = context_for(tmp_path / "work", float_path, None)
    with pytest.raises(CompressionInputError, match="give a task with a calibration split"):
        repaired(BiasCorrection(), float_path, context)


@pytest.mark.parametrize("settings", [{"order": "random"}, {"sample_count": 0}, {"sample_count": True}])
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(settings))):
        BiasCorrection(**settings)


def test_it_works_on_what_static_int8_leaves() -> None:
    assert StaticInt8.produces in BiasCorrection.accepts
    assert BiasCorrection.needs_float_ancestor


def _tensors(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model(path).graph.initializer}


def _kernels(path: Path, folder: Path) -> dict[str, int]:
    """Return how often onnxruntime runs each operator of the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options)
    counts: dict[str, int] = {}
    for node in onnx.load_model(folder / "optimized.onnx").graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts
