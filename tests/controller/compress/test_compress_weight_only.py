"""Weights of ONNX models in few bits: onnxruntime runs them near the parent, in less space, in the form that suits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from steelyard.compress.contract import WEIGHT_ONLY
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.model_form import numeric_form
from steelyard.compress.steps.weight_only import WeightOnly
from steelyard.compress.weights import moments
from tests.controller.compress.weight_models import (
    applied,
    branch_model,
    conv_weights_model,
    drawn,
    embedding_model,
    gemm_model,
    matmul_model,
    op_types,
    recurrent_model,
    run,
    saved,
    shared_model,
    sqnr_db,
    stored,
    tensor,
)
from tests.support.models import conv_model, token_model

# An error of a hundredth of a step and one of a half are told apart by these: about 6 dB a bit.
_LEAST_DB = {8: 38, 4: 14}


@pytest.mark.parametrize("form", ["matmulnbits", "dequantize"])
@pytest.mark.parametrize("block_size", [0, 32])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_product_agrees_with_its_parent(
    tmp_path: Path, bits: int, symmetric: bool, block_size: int, form: str
) -> None:
    model = gemm_model(tmp_path / "m.onnx", drawn(150, 60), drawn(60, seed=1))
    step = WeightOnly(bits=bits, symmetric=symmetric, block_size=block_size, form=form)
    made, report = applied(step, model)
    x = drawn(4, 150, seed=2)
    assert sqnr_db(run(model, x=x), run(made, x=x)) > _LEAST_DB[bits]
    expected = {"matmulnbits": ["MatMulNBits"], "dequantize": ["DequantizeLinear", "Gemm"]}
    assert op_types(made) == expected[form]
    assert numeric_form(onnx.load_model(made)) == WEIGHT_ONLY
    assert report.settings["block_size"] == block_size
    # 4 bytes a weight before; codes, and scales where they are many.
    assert made.stat().st_size < model.stat().st_size * (bits / 32 + 0.14)


@pytest.mark.parametrize("form", ["matmulnbits", "dequantize"])
def test_weights_on_the_grid_come_back_exactly(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-8, 8, (64, 40)).astype(np.float32)
    codes[0] = -8
    model = matmul_model(tmp_path / "m.onnx", codes * np.float32(0.5))
    made, _report = applied(WeightOnly(bits=4, block_size=0, form=form), model)
    x = np.eye(64, dtype=np.float32)
    np.testing.assert_allclose(run(made, x=x), codes * 0.5, atol=1e-6)


def test_four_bits_have_a_scale_for_32_inputs_when_nothing_is_said(tmp_path: Path) -> None:
    made, report = applied(WeightOnly(bits=4), matmul_model(tmp_path / "m.onnx", drawn(96, 20)))
    assert report.settings["block_size"] == 32
    assert stored(made)["w_scales"].shape == (20, 3)
    assert stored(made)["w_packed"].shape == (20, 3, 16)


def test_a_product_over_sequences_and_one_without_a_bias_are_multiplied_packed(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [2, 5, 40]}, {"y": [2, 5, 30]}, [tensor("w", drawn(40, 30))])
    made, _report = applied(WeightOnly(bits=4), model)
    x = drawn(2, 5, 40, seed=1)
    assert run(made, x=x).shape == (2, 5, 30)
    assert sqnr_db(run(model, x=x), run(made, x=x)) > 14


def test_a_bias_that_is_no_vector_is_added_behind(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w", "c"], ["y"])]
    inputs = {"x": [3, 40], "c": [3, 1]}
    model = saved(tmp_path / "m.onnx", nodes, inputs, {"y": [3, 30]}, [tensor("w", drawn(40, 30))])
    made, _report = applied(WeightOnly(bits=4), model)
    assert op_types(made) == ["MatMulNBits", "Add"]
    feed = {"x": drawn(3, 40, seed=1), "c": 10 * drawn(3, 1, seed=2)}
    assert sqnr_db(run(model, **feed), run(made, **feed)) > 20


def test_activations_in_8_bits_are_a_setting_of_the_product(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(-8, 8, (64, 40)).astype(np.float32)
    codes[::32] = -8
    model = matmul_model(tmp_path / "m.onnx", codes)
    x = drawn(4, 64, seed=1)
    rounded, _report = applied(WeightOnly(bits=4), model)
    (node,) = onnx.load_model(rounded).graph.node
    assert {one.name: one.i for one in node.attribute}["accuracy_level"] == 4
    assert 30 < sqnr_db(run(model, x=x), run(rounded, x=x)) < 100
    for bits in (4, 8):
        exact, report = applied(WeightOnly(bits=bits, compute="float32"), model)
        assert report.settings["form"] == {4: "matmulnbits", 8: "unpack"}[bits]
        assert op_types(exact) == {4: ["MatMulNBits"], 8: ["Cast", "Mul", "MatMul"]}[bits]
        if bits == 4:
            np.testing.assert_allclose(run(exact, x=x), run(model, x=x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("form", "expected"), [("auto", ["Cast", "Mul", "Conv"]), ("dequantize", ["DequantizeLinear", "Conv"])]
)
def test_a_convolution_has_a_scale_a_channel(tmp_path: Path, symmetric: bool, form: str, expected: list[str]) -> None:
    weight = drawn(16, 8, 3, 3) * np.geomspace(0.01, 10, 16).astype(np.float32)[:, None, None, None]
    model = conv_weights_model(tmp_path / "m.onnx", weight, pads=[1, 1, 1, 1])
    made, _report = applied(WeightOnly(symmetric=symmetric, form=form), model)
    assert [one for one in op_types(made) if one != "Sub"] == expected
    x = drawn(2, 8, 9, 9, seed=3)
    wanted, got = run(model, x=x), run(made, x=x)
    assert all(sqnr_db(wanted[:, at], got[:, at]) > 38 for at in range(16))
    assert stored(made)["w_codes"].dtype == (np.int8 if symmetric else np.uint8)


def test_rows_of_an_embedding_are_looked_up_in_8_bits(tmp_path: Path) -> None:
    table = drawn(50, 16) * np.geomspace(0.01, 10, 50).astype(np.float32)[:, None]
    model = embedding_model(tmp_path / "m.onnx", table)
    ids = np.array([[0, 49, -1], [7, 7, 3]])
    for step in (WeightOnly(), WeightOnly(bits=4), WeightOnly(symmetric=False)):
        made, report = applied(step, model)
        assert report.notes[0] == "1 weight tensor is stored in 8 bits and looked up row by row"
        wanted, got = run(model, ids=ids), run(made, ids=ids)
        assert got.shape == (2, 3, 16)
        assert all(
            sqnr_db(one, other) > 38 for one, other in zip(wanted.reshape(6, 16), got.reshape(6, 16), strict=True)
        )
        assert made.stat().st_size < 0.6 * model.stat().st_size


def test_a_whole_network_and_one_of_tokens_agree_with_their_parents(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "conv.onnx", channels=16, depth=2)
    image = drawn(4, 1, 12, 12)
    made, report = applied(WeightOnly(), model)
    assert sqnr_db(run(model, image=image), run(made, image=image)) > 35
    assert any(note.startswith("left as") and "fewer than 256 weights" in note for note in report.notes)
    tokens = token_model(tmp_path / "token.onnx", width=32)
    feed = {"input_ids": np.arange(10).reshape(2, 5), "attention_mask": np.ones((2, 5), np.int64)}
    made, _report = applied(WeightOnly(), tokens)
    assert sqnr_db(run(tokens, **feed), run(made, **feed)) > 35


def test_what_is_unpacked_is_folded_as_onnxruntime_loads_it(tmp_path: Path) -> None:
    made, _report = applied(WeightOnly(), conv_weights_model(tmp_path / "m.onnx", drawn(16, 8, 3, 3)))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(str(made), options, providers=["CPUExecutionProvider"])
    assert op_types(tmp_path / "folded.onnx") == ["Conv"]


def test_recurrent_layers_are_stored_in_8_bits(tmp_path: Path) -> None:
    model = recurrent_model(tmp_path / "m.onnx")
    with pytest.raises(CompressionInputError) as caught:
        applied(WeightOnly(op_types=("Conv",)), model)
    assert caught.value.reason == "nothing_to_quantize"
    x = drawn(5, 1, 12)
    for form in ("auto", "dequantize"):
        made, _report = applied(WeightOnly(form=form), model)
        assert sqnr_db(run(model, x=x), run(made, x=x)) > 30
        assert made.stat().st_size < 0.5 * model.stat().st_size


def test_branches_are_quantized_and_a_shared_weight_is_stored_once(tmp_path: Path) -> None:
    model = branch_model(tmp_path / "b.onnx", drawn(16, 20, seed=1), drawn(16, 20, seed=2))
    made, _report = applied(WeightOnly(bits=4), model)
    for sign in (1, -1):
        x = sign * np.abs(drawn(2, 16, seed=3))
        assert sqnr_db(run(model, x=x), run(made, x=x)) > 12
    shared, _report = applied(WeightOnly(bits=4), shared_model(tmp_path / "s.onnx", drawn(32, 32)))
    assert op_types(shared) == ["MatMulNBits"] * 2
    assert set(stored(shared)) == {"w_packed", "w_scales"}


def test_what_no_kernel_takes_packed_has_8_bits_and_is_unpacked(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["a", "x"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["g"]),
        helper.make_node("Gemm", ["g", "v"], ["y"], transA=1),
    ]
    weights = [tensor(name, drawn(32, 32, seed=at)) for at, name in enumerate("awv")]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [32, 32]}, {"y": [32, 32]}, weights)
    x = drawn(32, 32, seed=5)
    for bits, form in ((4, "auto"), (8, "auto"), (4, "dequantize")):
        made, report = applied(WeightOnly(bits=bits, form=form), model)
        expected = {"MatMul": 2, "MatMulNBits": 0, "DequantizeLinear": 2, "Cast": 1, "Gemm": 1}
        if form == "auto":
            expected = {"MatMul": 1, "MatMulNBits": 1, "DequantizeLinear": 0, "Cast": 2, "Gemm": 1}
            assert f"1 weight tensor is stored in {bits} bits and multiplied" in report.notes[0]
            assert "2 weight tensors are stored in 8 bits and unpacked once" in report.notes[1]
        assert {kind: op_types(made).count(kind) for kind in expected} == expected
        assert sqnr_db(run(model, x=x), run(made, x=x)) > _LEAST_DB[bits] - 4
    _made, report = applied(WeightOnly(bits=8, keep_float=("w",)), model)
    assert "left as it was: 'w' (by the setting keep_float)" in report.notes


def test_convolutions_have_8_bits_where_products_have_4(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", channels=32, classes=20)
    made, _report = applied(WeightOnly(bits=4), model)
    assert stored(made)["kernel0_codes"].dtype == np.int8
    assert stored(made)["weight_packed"].shape == (20, 1, 16)
    image = drawn(4, 1, 12, 12)
    assert sqnr_db(run(model, image=image), run(made, image=image)) > 14


def test_an_old_opset_is_converted_to_one_that_can_unpack(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [1, 40]}, {"y": [1, 30]}, [tensor("w", drawn(40, 30))], opset=11)
    made, _report = applied(WeightOnly(bits=4, form="dequantize"), model)
    (opset,) = [entry.version for entry in onnx.load_model(made).opset_import if entry.domain == ""]
    assert opset >= 21
    codes = [one for one in onnx.load_model(made).graph.initializer if one.name == "w_codes"]
    assert [one.data_type for one in codes] == [TensorProto.INT4]
    x = drawn(1, 40, seed=1)
    assert sqnr_db(run(model, x=x), run(made, x=x)) > 12


def _samples(count: int, width: int, seed: int) -> np.ndarray:
    """Return inputs that hang on few hidden values."""
    mixing = drawn(width // 8, width, seed=77)
    return (drawn(count, width // 8, seed=seed) @ mixing + 0.1 * drawn(count, width, seed=seed + 1)).astype(np.float32)


@pytest.mark.parametrize("settings", [{}, {"act_order": False}, {"symmetric": False}, {"form": "dequantize"}])
def test_gptq_is_nearer_to_the_parent_than_rounding_on_new_data(tmp_path: Path, settings: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        helper.make_node("Gemm", ["h", "v"], ["y"], name="second", transB=1),
    ]
    weights = [tensor("w", drawn(96, 64)), tensor("v", drawn(20, 64, seed=1))]
    model = saved(tmp_path / "m.onnx", nodes, {"x": ["batch", 96]}, {"y": ["batch", 20]}, weights)
    others = _samples(60, 96, seed=20)
    wanted = run(model, x=others)
    rounded, _report = applied(WeightOnly(bits=4, **settings), model)
    before = sqnr_db(wanted, run(rounded, x=others))
    made, report = applied(WeightOnly(bits=4, method="gptq", **settings), model, _samples(300, 96, seed=10))
    assert sqnr_db(wanted, run(made, x=others)) > before + 3
    assert any(note.startswith("GPTQ on 2 of 2 tensors") for note in report.notes)


def test_gptq_serves_pointwise_convolutions_and_rounds_what_it_cannot_observe(tmp_path: Path) -> None:
    model = conv_weights_model(tmp_path / "m.onnx", drawn(24, 32, 1, 1), size=5)
    mixed = np.moveaxis(_samples(200, 32, seed=1).reshape(8, 5, 5, 32), -1, 1)
    made, report = applied(WeightOnly(method="gptq"), model, mixed)
    assert any(note.startswith("GPTQ on 1 of 1 tensors") for note in report.notes)
    assert sqnr_db(run(model, x=mixed), run(made, x=mixed)) > sqnr_db(
        run(model, x=mixed), run(applied(WeightOnly(), model)[0], x=mixed)
    )
    branches = branch_model(tmp_path / "b.onnx", drawn(16, 20, seed=1), drawn(16, 20, seed=2))
    _made, report = applied(WeightOnly(bits=4, method="gptq"), branches, drawn(20, 16))
    assert any(note.startswith("GPTQ on 1 of 3 tensors") for note in report.notes)


def test_more_layers_than_fit_are_observed_in_more_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node("MatMul", [f"h{at}" if at else "x", f"w{at}"], [f"h{at + 1}"]) for at in range(3)]
    weights = [tensor(f"w{at}", drawn(32, 32, seed=at)) for at in range(3)]
    model = saved(tmp_path / "m.onnx", nodes, {"x": ["batch", 32]}, {"h3": ["batch", 32]}, weights)
    samples = _samples(40, 32, seed=1)
    step = WeightOnly(bits=4, method="gptq")
    whole = applied(step, model, samples)[0].read_bytes()
    monkeypatch.setattr(moments, "MOMENT_BYTES", 32 * 32 * 8)
    assert applied(step, model, samples)[0].read_bytes() == whole


def test_gptq_without_calibration_data_is_refused(tmp_path: Path) -> None:
    step = WeightOnly(method="gptq")
    assert step.needs_calibration
    assert not WeightOnly().needs_calibration
    with pytest.raises(CompressionInputError, match="calibration split"):
        applied(step, matmul_model(tmp_path / "m.onnx", drawn(40, 30)))


@pytest.mark.parametrize("step", [WeightOnly(), WeightOnly(bits=4), WeightOnly(bits=4, method="gptq")])
def test_the_same_model_gives_the_same_bytes(tmp_path: Path, step: WeightOnly) -> None:
    model = gemm_model(tmp_path / "m.onnx", drawn(64, 40), drawn(40))
    samples = _samples(30, 64, seed=1) if step.needs_calibration else None
    first = applied(step, model, samples)[0].read_bytes()
    assert applied(step, model, samples)[0].read_bytes() == first


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"bits": 3}, "one of 4, 8"),
        ({"bits": True}, "one of 4, 8"),
        ({"block_size": 48}, "one of 0, 16"),
        ({"method": "gtpq"}, "did you mean 'gptq'"),
        ({"form": "qdq"}, "dequantize"),
        ({"op_types": ("Relu",)}, "Conv"),
        ({"compute": "float32", "form": "dequantize"}, "leave one"),
        ({"bits": 4, "form": "unpack"}, "bits = 8"),
        ({"damping": 0}, "1e-06 to 1"),
        ({"keep_float": "head"}, "list of patterns"),
    ],
)
def test_settings_that_no_kernel_runs_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        WeightOnly(**settings)
