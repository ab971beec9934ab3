"""LSTM layers that read the model's input stay in float beside others; what 8 bits would do to them is planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from steelyard.compress.preparation.recurrent_inputs import recurrent_layers_at_inputs
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from tests.controller.compress.int8_models import Graph, applied, drawn, outputs, run_ops, sqnr_db

STEPS, FEATURES, HIDDEN = 12, 16, 64


def _layers(path: Path, count: int, *, first_scale: float = 0.1) -> Path:
    """Write LSTM layers in a row over x [1, steps, features], turned to steps first."""
    net = Graph()
    at, width = net.node("Transpose", ["x"], "turned", perm=[1, 0, 2]), FEATURES
    for index in range(count):
        scale = 0.1 if index else first_scale
        kernel = net.drawn(f"kernel{index}", 1, 4 * HIDDEN, width, scale=scale)
        recurrence = net.drawn(f"recurrence{index}", 1, 4 * HIDDEN, HIDDEN, scale=0.1)
        states = net.node("LSTM", [at, kernel, recurrence], f"states{index}", hidden_size=HIDDEN)
        at, width = net.node("Squeeze", [states, net.store(f"axes{index}", [1], np.int64)], f"row{index}"), HIDDEN
    return net.write(path, [("x", [1, STEPS, FEATURES])], (at, [STEPS, 1, HIDDEN]))


def _one_loud_step() -> np.ndarray:
    """Features of a thousandth behind a first step of 1: below one step of 8 bits over all of them."""
    values = np.random.default_rng(3).uniform(0.0, 2e-3, (1, STEPS, FEATURES))
    values[:, 0] = 1.0
    return values.astype(np.float32)


def test_the_layer_at_the_input_is_found_through_what_only_moves_values(tmp_path: Path) -> None:
    model = onnx.load(_layers(tmp_path / "m.onnx", 3))
    assert recurrent_layers_at_inputs(model) == {"states0_node"}
    assert recurrent_layers_at_inputs(onnx.load(_layers(tmp_path / "one.onnx", 1))) == frozenset()


def test_small_features_behind_a_loud_step_are_kept_where_all_in_8_bits_lose_them(tmp_path: Path) -> None:
    # The first layer has weights by which small features matter.
    model = _layers(tmp_path / "m.onnx", 2, first_scale=300.0)
    made, report = applied(DynamicInt8(), model)
    assert (run_ops(made)["DynamicQuantizeLSTM"], run_ops(made)["LSTM"]) == (1, 1)
    assert any(note.startswith("1 LSTM layers that read the model's input stay in float") for note in report.notes)
    assert report.settings["per_channel"] is True
    whole = tmp_path / "whole.onnx"
    quantize_dynamic(model, whole, op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8)
    feed = {"x": _one_loud_step()}
    truth = outputs(model, feed)
    assert sqnr_db(truth, outputs(made, feed)) > 20
    assert sqnr_db(truth, outputs(whole, feed)) < 10


def test_a_single_layer_is_quantized_all_the_same(tmp_path: Path) -> None:
    made, report = applied(DynamicInt8(), _layers(tmp_path / "m.onnx", 1))
    assert run_ops(made)["DynamicQuantizeLSTM"] == 1
    assert not any("read the model's input" in note for note in report.notes)
    feed = {"x": drawn(1, STEPS, FEATURES)}
    assert sqnr_db(outputs(tmp_path / "m.onnx", feed), outputs(made, feed)) > 20
