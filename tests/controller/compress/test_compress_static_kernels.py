"""Static int8 gives graphs that onnxruntime runs in integers, and keeps in float what is asked for or must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from steelyard.compress.calibration import read_calibration
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.tasks.npz import write_npz
from tests.controller.compress.int8_models import (
    Graph,
    applied,
    drawn,
    mlp,
    ops,
    outputs,
    run_ops,
    samples,
    shortcut_cnn,
    sqnr_db,
    transformer,
)
from tests.support.models import conv_model, external_data_model, two_dynamic_dims_model

_IMAGES = ((1, 12, 12), "image")
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear"}


def _cnn(tmp_path: Path, step: StaticInt8, **options: Any) -> tuple[Path, Path, tuple[str, ...]]:
    model = shortcut_cnn(tmp_path / "m.onnx", **options)
    made, report = applied(step, model, samples(32, *_IMAGES[0], name=_IMAGES[1]))
    return model, made, report.notes


def _cnn_sqnr(model: Path, made: Path) -> float:
    feed = {"image": drawn(32, 1, 12, 12)}
    return sqnr_db(outputs(model, feed), outputs(made, feed))


@pytest.mark.parametrize(
    ("settings", "opset"),
    [
        ({}, 17),
        ({}, 13),
        ({}, 22),
        ({"reduce_range": True}, 17),
        ({"per_channel": False}, 17),
        ({"weight_type": "uint8", "per_channel": False}, 17),
    ],
)
def test_every_layer_of_a_cnn_becomes_an_integer_kernel(tmp_path: Path, settings: dict[str, Any], opset: int) -> None:
    model, made, _ = _cnn(tmp_path, StaticInt8(**settings), opset=opset)
    run = run_ops(made)
    assert (run["QLinearConv"], run["QGemm"], run["QLinearAdd"]) == (4, 1, 1)
    assert run["QLinearGlobalAveragePool"] + run["QLinearAveragePool"] == 1
    assert not run["Conv"] + run["Gemm"] + run["FusedConv"] + run["Relu"]
    # One at the door; the last layer gives its sums in float.
    assert (run["QuantizeLinear"], run["DequantizeLinear"]) == (1, 0)
    assert _cnn_sqnr(model, made) > 18


@pytest.mark.parametrize("settings", [{}, {"per_channel": False}, {"symmetric": True}])
def test_signed_activations_run_in_integers_too(tmp_path: Path, settings: dict[str, Any]) -> None:
    # Without a branch: onnxruntime 1.32 turns s8 into u8 on x86, and where two read a tensor it loses the kernels.
    model = conv_model(tmp_path / "m.onnx", depth=3)
    made, _ = applied(StaticInt8(activation_type="int8", **settings), model, samples(32, 1, 12, 12, name="image"))
    run = run_ops(made)
    assert (run["QLinearConv"], run["QGemm"]) == (3, 1)
    assert not run["Conv"] + run["Gemm"] + run["FusedConv"]
    assert _cnn_sqnr(model, made) > 18


@pytest.mark.parametrize("opset", [17, 22])
def test_every_product_of_an_mlp_becomes_an_integer_kernel(tmp_path: Path, opset: int) -> None:
    model = mlp(tmp_path / "m.onnx", opset=opset)
    made, _ = applied(StaticInt8(), model, samples(64, 24))
    run = run_ops(made)
    assert run["QGemm"] + run["QLinearMatMul"] == 3
    assert not run["Gemm"] + run["MatMul"] + run["FusedGemm"]
    feed = {"x": drawn(32, 24)}
    assert sqnr_db(outputs(model, feed), outputs(made, feed)) > 25


@pytest.mark.parametrize("opset", [17, 21])
def test_a_transformer_keeps_softmax_masks_normalization_and_gelu_in_float(tmp_path: Path, opset: int) -> None:
    model = transformer(tmp_path / "m.onnx", opset=opset)
    made, _ = applied(StaticInt8(), model, samples(64, 6, 32))
    run = run_ops(made)
    assert run["QLinearMatMul"] + run["QGemm"] + run["MatMulIntegerToFloat"] == 8
    assert not run["MatMul"] + run["Gemm"] + run["FusedMatMul"] + run["FusedGemm"]
    assert run["Softmax"] == 1
    assert run["LayerNormalization"] + run["SkipLayerNormalization"] == 2
    assert run["Gelu"] + run["BiasGelu"] == 1
    feed = {"x": drawn(16, 6, 32)}
    assert sqnr_db(outputs(model, feed), outputs(made, feed)) > 22


def test_both_inputs_of_an_addition_are_quantized_and_nothing_lies_between_a_layer_and_its_relu(tmp_path: Path) -> None:
    _, made, _ = _cnn(tmp_path, StaticInt8())
    graph = onnx.load_model(made).graph
    source = {name: node.op_type for node in graph.node for name in node.output}
    readers = {name: node.op_type for node in graph.node for name in node.input}
    (addition,) = [node for node in graph.node if node.op_type == "Add"]
    assert [source[name] for name in addition.input] == ["DequantizeLinear", "DequantizeLinear"]
    for node in graph.node:
        if node.op_type in {"MaxPool", "GlobalAveragePool", "Conv", "Gemm"}:
            assert source[node.input[0]] == "DequantizeLinear"
            assert node.op_type == "Gemm" or readers[node.output[0]] == "QuantizeLinear"


@pytest.mark.parametrize(
    ("activation_type", "opset", "domain"),
    [("int16", 17, "com.microsoft"), ("uint16", 17, "com.microsoft"), ("int16", 21, ""), ("uint16", 21, "")],
)
def test_sixteen_bits_of_activations_are_more_exact_and_say_whose_operators_they_are(
    tmp_path: Path, activation_type: str, opset: int, domain: str
) -> None:
    model, made, _ = _cnn(tmp_path, StaticInt8(activation_type=activation_type), opset=opset)
    stored = onnx.load_model(made)
    assert {node.domain for node in stored.graph.node if node.op_type in _QUANTIZED} == {domain}
    types = {tensor.name: tensor.data_type for tensor in stored.graph.initializer}
    assert types["head_b_quantized"] == onnx.TensorProto.INT32
    assert types["head_w_quantized"] == onnx.TensorProto.INT8
    wide = _cnn_sqnr(model, made)
    _, narrow, _ = _cnn(tmp_path, StaticInt8(), opset=opset)
    # The weights have 8 bits in both.
    assert wide > _cnn_sqnr(model, narrow)


def test_wide_gives_the_activations_of_some_nodes_sixteen_bits(tmp_path: Path) -> None:
    model, made, _ = _cnn(tmp_path, StaticInt8(wide=("Gemm", "pooled_node")))
    stored = onnx.load_model(made)
    types = {tensor.name: tensor.data_type for tensor in stored.graph.initializer}
    assert types["logits_zero_point"] == types["pooled_zero_point"] == onnx.TensorProto.UINT16
    assert types["image_zero_point"] == onnx.TensorProto.UINT8
    assert run_ops(made)["QLinearConv"] == 3
    assert _cnn_sqnr(model, made) > 18


def test_a_model_of_open_sizes_is_calibrated_sample_by_sample(tmp_path: Path) -> None:
    model = two_dynamic_dims_model(tmp_path / "m.onnx")
    made, _ = applied(StaticInt8(calibration_method="mse"), model, samples(12, 3, 5, 7, name="image"))
    feed = {"image": drawn(2, 3, 9, 4)}
    np.testing.assert_allclose(outputs(made, feed), outputs(model, feed), atol=0.1)


def test_weights_in_a_file_beside_the_model_are_read(tmp_path: Path) -> None:
    model = external_data_model(tmp_path / "m.onnx")
    made, _ = applied(StaticInt8(), model, samples(32, 64))
    feed = {"x": drawn(4, 64)}
    assert sqnr_db(outputs(model, feed), outputs(made, feed)) > 20


def test_what_is_to_stay_in_float_stays(tmp_path: Path) -> None:
    _, made, _ = _cnn(tmp_path, StaticInt8(keep_float=("Gemm", "fourth*")))
    run = run_ops(made)
    assert (run["QLinearConv"], run["QGemm"]) == (3, 0)
    assert run["Conv"] + run["FusedConv"] == 1
    weights = {tensor.name for tensor in onnx.load_model(made).graph.initializer}
    assert {"head_w", "fourth_w"} <= weights


def test_only_the_named_operators_are_quantized(tmp_path: Path) -> None:
    _, made, _ = _cnn(tmp_path, StaticInt8(op_types=("Gemm",)))
    assert {name for name in _stored(made) if name.endswith("_quantized")} == {"head_w_quantized", "head_b_quantized"}


def _stored(path: Path) -> set[str]:
    return {tensor.name for tensor in onnx.load_model(path).graph.initializer}


@pytest.mark.parametrize(
    ("settings", "reason", "match"),
    [
        ({"keep_float": ("fourt_node",)}, "unmatched_pattern", "did you mean 'fourth"),
        ({"wide": ("nothing*",)}, "unmatched_pattern", "neither a node nor an operator"),
        ({"op_types": ("Convolution",)}, "unsupported_setting", "does not quantize"),
    ],
)
def test_names_that_the_model_does_not_have_are_refused(
    tmp_path: Path, settings: dict[str, Any], reason: str, match: str
) -> None:
    with pytest.raises(CompressionInputError, match=match) as caught:
        _cnn(tmp_path, StaticInt8(**settings))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"symmetric": True}, "symmetric activations are signed"),
        ({"activation_type": "int16", "wide": ("Conv",)}, "leave wide out"),
        ({"keep_float": "Conv"}, "a list of patterns"),
        ({"calibration_method": "kl"}, "calibration_method"),
        ({"percentile": 50}, "percentile"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        StaticInt8(**settings)


def test_symmetric_activations_have_their_zero_in_the_middle(tmp_path: Path) -> None:
    _, made, _ = _cnn(tmp_path, StaticInt8(activation_type="int8", symmetric=True))
    stored = onnx.load_model(made)
    middles = {
        int(numpy_helper.to_array(tensor))
        for tensor in stored.graph.initializer
        if tensor.name.endswith("_zero_point") and tensor.data_type == tensor.INT8 and not tensor.dims
    }
    assert middles == {0}


@pytest.mark.parametrize("method", ["moving-average", "entropy", "percentile", "mse"])
def test_every_calibration_method_gives_a_model_as_good_as_the_extremes(tmp_path: Path, method: str) -> None:
    model, made, _ = _cnn(tmp_path, StaticInt8(calibration_method=method))
    assert _cnn_sqnr(model, made) > 15


def test_a_percentile_beats_the_extremes_where_a_value_is_off(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((300, 24)).astype(np.float32)
    values[7, 5] = 100.0
    data = read_calibration(write_npz({"x.values": values}))
    model = mlp(tmp_path / "m.onnx")
    feed = {"x": drawn(64, 24)}
    expected = outputs(model, feed)
    extremes = applied(StaticInt8(calibration_method="minmax"), model, data)[0]
    minmax = sqnr_db(expected, outputs(extremes, feed))
    step = StaticInt8(calibration_method="percentile", percentile=99.9)
    assert sqnr_db(expected, outputs(applied(step, model, data)[0], feed)) > minmax + 6


def test_a_stack_of_matrices_is_quantized_as_one(tmp_path: Path) -> None:
    net = Graph()
    net.node("MatMul", ["x", net.drawn("stack", 3, 8, 5)], "y")
    model = net.write(tmp_path / "m.onnx", [("x", [3, 4, 8])], ("y", [3, 4, 5]))
    data = samples(6, 4, 8)
    made, _ = applied(StaticInt8(), model, data)
    (scale,) = [one for one in onnx.load_model(made).graph.initializer if one.name == "stack_scale"]
    assert not scale.dims
    feed = {"x": drawn(3, 4, 8)}
    assert sqnr_db(outputs(model, feed), outputs(made, feed)) > 20


def test_infinities_inside_leave_their_operators_in_float_with_a_note(tmp_path: Path) -> None:
    net = Graph()
    net.node("Gemm", ["x", net.drawn("w", 4, 6), net.drawn("b", 6)], "layer")
    net.node("Add", ["layer", net.store("far", [0, 0, 0, 0, 0, -3.0e38])], "masked")
    net.node("Gemm", [net.node("Sigmoid", ["masked"], "gate"), net.drawn("w2", 6, 3), net.drawn("b2", 3)], "y")
    model = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 3]))
    made, report = applied(StaticInt8(), model, samples(200, 4))
    assert any("stay in float" in note and "gate_node" in note for note in report.notes)
    assert ops(made)["DequantizeLinear"] >= 3
    feed = {"x": drawn(8, 4)}
    np.testing.assert_allclose(outputs(made, feed), outputs(model, feed), atol=0.05)


def test_the_bodies_of_control_flow_stay_in_float_with_a_note(tmp_path: Path) -> None:
    made, report = applied(StaticInt8(), _branching(tmp_path / "m.onnx"), samples(8, 4))
    assert any("If stays in float" in note for note in report.notes)
    assert "DequantizeLinear" in ops(made)


def _branching(path: Path) -> Path:
    net = Graph()
    net.node("Gemm", ["x", net.drawn("w", 4, 4), net.drawn("b", 4)], "layer")
    value = helper.make_tensor_value_info("branch", onnx.TensorProto.FLOAT, ["batch", 4])
    bodies = [
        helper.make_graph([helper.make_node(op, ["layer"], ["branch"])], op, [], [value]) for op in ("Tanh", "Relu")
    ]
    net.node("ReduceSum", ["layer"], "sum", keepdims=0)
    net.node("Greater", ["sum", net.store("zero", 0.0)], "is_positive")
    net.node("If", ["is_positive"], "y", then_branch=bodies[0], else_branch=bodies[1])
    return net.write(path, [("x", ["batch", 4])], ("y", ["batch", 4]))


@pytest.mark.parametrize("build", [shortcut_cnn, transformer])
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    model = build(tmp_path / "m.onnx")
    data = samples(8, 1, 12, 12, name="image") if build is shortcut_cnn else samples(8, 6, 32)
    first = applied(StaticInt8(calibration_method="mse"), model, data)[0].read_bytes()
    assert applied(StaticInt8(calibration_method="mse"), model, data)[0].read_bytes() == first
