"""Dynamic int8 takes what pays, float16 what it can hold; both leave in float what they are told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.float16 import Float16
from tests.controller.compress.int8_models import (
    Graph,
    applied,
    drawn,
    mlp,
    ops,
    outputs,
    run_ops,
    shortcut_cnn,
    sqnr_db,
    transformer,
)


def _lstm(path: Path, *, features: int = 16, hidden: int = 48) -> Path:
    net = Graph()
    weights = [net.drawn("kernel", 1, 4 * hidden, features), net.drawn("recurrence", 1, 4 * hidden, hidden, scale=0.1)]
    net.node("LSTM", ["x", *weights], "states", hidden_size=hidden)
    return net.write(path, [("x", [5, 1, features])], ("states", [5, 1, 1, hidden]))


def test_small_layers_stay_in_float_beside_large_ones(tmp_path: Path) -> None:
    model = mlp(tmp_path / "m.onnx", widths=(64, 160, 16, 10))
    made, report = applied(DynamicInt8(), model)
    assert ops(made)["MatMulInteger"] == 1
    assert any("2 layers of fewer than 8192 weights stay in float" in note for note in report.notes)
    feed = {"x": drawn(16, 64)}
    assert sqnr_db(outputs(model, feed), outputs(made, feed)) > 25


def test_layers_that_are_all_small_are_quantized_with_a_warning(tmp_path: Path) -> None:
    made, report = applied(DynamicInt8(), mlp(tmp_path / "m.onnx"))
    assert ops(made)["MatMulInteger"] == 3
    assert any("expect no gain" in note for note in report.notes)


def test_the_size_below_which_layers_stay_is_a_setting(tmp_path: Path) -> None:
    model = mlp(tmp_path / "m.onnx", widths=(64, 160, 16, 10))
    assert ops(applied(DynamicInt8(min_weights=0), model)[0])["MatMulInteger"] == 3
    assert ops(applied(DynamicInt8(min_weights=2000), model)[0])["MatMulInteger"] == 2


def test_layers_named_by_a_pattern_stay_in_float(tmp_path: Path) -> None:
    model = transformer(tmp_path / "m.onnx")
    whole = ops(applied(DynamicInt8(), model)[0])["MatMulInteger"]
    assert whole == 6
    made, _ = applied(DynamicInt8(keep_float=("up_product*", "q_*")), model)
    assert ops(made)["MatMulInteger"] == whole - 2
    model = mlp(tmp_path / "mlp.onnx")
    assert ops(applied(DynamicInt8(keep_float=("layer0_node",)), model)[0])["MatMulInteger"] == 2


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_recurrent_layer_is_quantized(tmp_path: Path, per_channel: bool) -> None:
    model = _lstm(tmp_path / "m.onnx")
    made, report = applied(DynamicInt8(per_channel=per_channel), model)
    assert run_ops(made)["DynamicQuantizeLSTM"] == 1
    assert report.notes[0].startswith("1 of 1 ")
    feed = {"x": drawn(5, 1, 16)}
    assert sqnr_db(outputs(model, feed), outputs(made, feed)) > 20


def test_products_of_activations_are_left_alone(tmp_path: Path) -> None:
    net = Graph()
    net.node("MatMul", ["x", net.node("Transpose", ["x"], "xt", perm=[0, 2, 1])], "y")
    model = net.write(tmp_path / "m.onnx", [("x", [1, 4, 8])], ("y", [1, 4, 4]))
    with pytest.raises(CompressionInputError, match="no MatMul, Gemm or LSTM with constant weights"):
        applied(DynamicInt8(), model)


@pytest.mark.parametrize("settings", [{"min_weights": -1}, {"min_weights": 2.5}, {"keep_float": "Gemm"}])
def test_settings_of_another_type_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="write a"):
        DynamicInt8(**settings)


def _halves(path: Path) -> set[str]:
    return {one.name for one in onnx.load_model(path).graph.initializer if one.data_type == TensorProto.FLOAT16}


def test_layers_named_by_a_pattern_stay_in_float32(tmp_path: Path) -> None:
    model = shortcut_cnn(tmp_path / "m.onnx", with_batchnorm=False)
    made, _ = applied(Float16(keep_float=("fourth_node", "Gemm")), model)
    assert {"first_w", "third_w"} <= _halves(made)
    assert _halves(made).isdisjoint({"fourth_w", "fourth_b", "head_w", "head_b"})
    onnx.checker.check_model(onnx.load_model(made))
    feed = {"image": drawn(4, 1, 12, 12)}
    np.testing.assert_allclose(outputs(made, feed), outputs(model, feed), atol=0.02, rtol=0.02)


def test_weights_that_float16_cannot_hold_stay_and_masks_become_its_largest(tmp_path: Path) -> None:
    net = Graph()
    large = net.store("large", np.diag([1e5, 2.0, 3.0, 4.0]))
    net.node("MatMul", ["x", large], "scaled")
    net.node("Add", ["scaled", net.store("mask", [0.0, 0.0, 0.0, -3e38])], "masked")
    net.node("Softmax", ["masked"], "y", axis=-1)
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 4]))
    made, report = applied(Float16(), model)
    assert _halves(made) == {"mask"}
    assert any("scaled_node" in note and "65,504" in note for note in report.notes)
    feed = {"x": np.array([[1e-4, 0.5, -0.2, 0.1], [2e-5, 0.1, 0.3, 0.2]], np.float32)}
    np.testing.assert_allclose(outputs(made, feed), outputs(model, feed), atol=1e-2)


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    for step in (Float16(keep_float=("headd",)), DynamicInt8(keep_float=("headd",))):
        with pytest.raises(CompressionInputError, match="neither a node nor an operator") as caught:
            applied(step, mlp(tmp_path / "m.onnx"))
        assert caught.value.reason == "unmatched_pattern"
