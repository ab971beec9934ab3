"""TFLite variants under the words of recipes: they agree with their parents, and what cannot be done is a sentence."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.contract import FLOAT16, INT8
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.registry import step_class, step_kinds
from steelyard.compress.steps.dynamic_int8 import DynamicInt8
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.finishing import final_bytes
from steelyard.compress.tflite.flatbuffer_model import read_model, write_model
from steelyard.compress.tflite.model_form import numeric_form
from steelyard.compress.tflite.registry import TFLITE_FUNCTIONS
from steelyard.compress.tflite.sessions import open_session
from tests.controller.compress.tflite_running import applied, graph_of, images, kinds, outputs, sqnr_db
from tests.support.tflite_nets import Net, attention, mobile_net, perceptron, weights


@pytest.mark.parametrize(
    ("step", "form", "least_sqnr_db"),
    [
        (StaticInt8(), INT8, 20),
        (StaticInt8(per_channel=False), INT8, 15),
        (StaticInt8(activation_type="int8", reduce_range=False), INT8, 20),
        (StaticInt8(calibration_method="percentile", percentile=99.9), INT8, 15),
        (StaticInt8(activation_type="int16"), INT8, 30),
        (DynamicInt8(), INT8, 20),
        (DynamicInt8(per_channel=True), INT8, 25),
        (Float16(), FLOAT16, 50),
    ],
)
def test_every_quantization_agrees_with_its_parent(tmp_path: Path, step: Any, form: str, least_sqnr_db: float) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    before = model.read_bytes()
    made, report = applied(step, model, images())
    assert numeric_form(made) == form
    assert made.stat().st_size < model.stat().st_size
    shown = images(seed=5)
    assert sqnr_db(outputs(model, shown), outputs(made, shown)) > least_sqnr_db
    assert model.read_bytes() == before
    assert report.notes
    assert [one.split()[0] for one in report.tool_versions] == ["litert-quantizer", "ai-edge-litert"]


@pytest.mark.parametrize("step", [StaticInt8(), DynamicInt8(), Float16()])
def test_a_variant_takes_and_gives_what_its_parent_does(tmp_path: Path, step: Any) -> None:
    model = mobile_net(tmp_path / "m.tflite", signatures=1)
    made, _report = applied(step, model, images())
    ends = [
        [(one.name, one.dtype, one.shape) for one in (*s.inputs, *s.outputs)] for s in map(open_session, (model, made))
    ]
    assert ends[0] == ends[1] == [("image", "float32", (1, 32, 32, 3)), ("logits", "float32", (1, 10))]
    (signature,) = graph_of(made).model.signatureDefs
    assert graph_of(made).name(int(signature.outputs[0].tensorIndex)) == "logits"


def test_the_report_says_what_auto_became_and_how_much_was_quantized(tmp_path: Path) -> None:
    made, report = applied(StaticInt8(), mobile_net(tmp_path / "m.tflite"), images())
    assert report.settings["activation_type"] == "int8"
    assert (report.settings["weight_type"], report.settings["reduce_range"]) == ("int8", False)
    operators = [kind for kind in kinds(made) if kind not in {"QUANTIZE", "DEQUANTIZE"}]
    assert f"{len(operators)} of {len(operators)} operators compute in 8 bits" in report.notes


def test_an_operator_without_an_int8_kernel_stays_in_float_and_is_named(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 32))
    inner = net.fully_connected(source, weights(np.random.default_rng(0), 16, 32))
    model = net.write(tmp_path / "m.tflite", [source], [net.unary("ELU", inner)])
    data = images(shape=(32,), name="x")
    made, report = applied(StaticInt8(), model, data)
    assert report.notes[0] == "1 of 2 operators compute in 8 bits; left in float: 1 ELU"
    assert sqnr_db(outputs(model, data), outputs(made, data)) > 25


def test_dynamic_quantization_leaves_depthwise_convolutions_in_float(tmp_path: Path) -> None:
    _made, report = applied(DynamicInt8(), mobile_net(tmp_path / "m.tflite"))
    assert "left in float" in report.notes[0]
    assert "2 DEPTHWISE_CONV_2D" in report.notes[0]


def test_int4_weights_take_half_of_the_bytes_of_int8_ones(tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", features=64, hidden=128)
    data = images(shape=(64,), name="x")
    eight, _report = applied(DynamicInt8(per_channel=True), model)
    eight_bytes, expected = eight.stat().st_size, outputs(model, data)
    four, report = applied(DynamicInt8(per_channel=True, weight_type="int4"), model)
    saved = eight_bytes - four.stat().st_size
    assert abs(saved - (64 * 128 + 128 * 4) / 2) < 256
    assert report.settings["weight_type"] == "int4"
    assert sqnr_db(expected, outputs(four, data)) > 12


def test_weights_beyond_float16_become_its_largest_number(tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", scale=1e6)
    made, report = applied(Float16(), model)
    assert "1 weights beyond 65,504 became" in report.notes[1]
    stored = [graph_of(made).values(place) for place in range(len(graph_of(made).tensors))]
    halves = [values for values in stored if values is not None and values.dtype == np.float16]
    assert max(float(np.abs(values).max()) for values in halves) == 65504.0


@pytest.mark.parametrize("step", [StaticInt8(), StaticInt8(calibration_method="percentile"), DynamicInt8(), Float16()])
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, step: Any) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    first, _report = applied(step, model, images())
    kept = final_bytes(first)
    again, _report = applied(step, model, images())
    assert final_bytes(again) == kept


def test_another_process_with_another_hash_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    model = mobile_net(tmp_path / "m.tflite")
    made, _report = applied(StaticInt8(), model, images())
    here = hashlib.sha256(final_bytes(made)).hexdigest()
    program = (
        "import hashlib, sys\nfrom pathlib import Path\n"
        "from steelyard.compress.steps.static_int8 import StaticInt8\n"
        "from steelyard.compress.tflite.finishing import final_bytes\n"
        "from tests.controller.compress.tflite_running import applied, images\n"
        "made, _report = applied(StaticInt8(), Path(sys.argv[1]), images())\n"
        "print(hashlib.sha256(final_bytes(made)).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[3])}
    there = subprocess.run(
        [sys.executable, "-c", program, str(model)], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.split()[-1] == here


def test_an_open_batch_dimension_is_quantized_and_stays_open(tmp_path: Path) -> None:
    model = perceptron(tmp_path / "m.tflite", open_batch=True)
    data = images(shape=(32,), name="x")
    made, _report = applied(StaticInt8(), model, data)
    session = open_session(made)
    assert session.inputs[0].shape == (-1, 32)
    together = session.run(data.feed(0, 6))[0]
    assert together.shape == (6, 4)
    assert sqnr_db(open_session(model).run(data.feed(0, 6))[0], together) > 20


def test_tensors_of_one_name_and_of_none_are_told_apart(tmp_path: Path) -> None:
    plain = mobile_net(tmp_path / "plain.tflite")
    changed = read_model(plain)
    for tensor in changed.subgraphs[0].tensors:
        if tensor.name not in {b"image", b"logits"}:
            tensor.name = b"" if tensor.buffer else b"inner"
    model = tmp_path / "m.tflite"
    write_model(changed, model)
    made, _report = applied(StaticInt8(), model, images())
    expected, _report = applied(StaticInt8(), plain, images())
    np.testing.assert_array_equal(outputs(made, images()), outputs(expected, images()))


def test_a_file_of_before_2020_is_quantized_as_one_of_today(tmp_path: Path) -> None:
    plain = mobile_net(tmp_path / "plain.tflite")
    changed = read_model(plain)
    for code in changed.operatorCodes:
        code.builtinCode = 0
    model = tmp_path / "m.tflite"
    write_model(changed, model)
    assert applied(StaticInt8(), model, images())[1].notes == applied(StaticInt8(), plain, images())[1].notes


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (StaticInt8(reduce_range=True), 'write reduce_range = "auto"'),
        (StaticInt8(calibration_method="entropy"), "write one of minmax, moving-average, percentile, mse"),
        (StaticInt8(weight_type="uint8", per_channel=False), 'write weight_type = "int8"'),
        (DynamicInt8(weight_type="uint8"), 'write weight_type = "int8"'),
        (DynamicInt8(weight_type="uint8", all_ops=True), 'write weight_type = "int8"'),
        (DynamicInt8(reduce_range=True), 'write reduce_range = "auto"'),
        (Float16(keep_io_types=False), "write keep_io_types = true"),
    ],
)
def test_a_setting_that_the_format_cannot_honour_is_refused_with_what_to_write(
    tmp_path: Path, step: Any, words: str
) -> None:
    with pytest.raises(CompressionInputError, match=r"^[a-z0-9-]+: [a-z_]+ is ") as caught:
        applied(step, mobile_net(tmp_path / "m.tflite"), images())
    assert caught.value.reason == "unsupported_setting"
    assert words in str(caught.value)


def test_every_step_for_both_formats_has_a_function_for_this_one() -> None:
    both = [kind for kind in step_kinds() if {"onnx", "tflite"} <= step_class(kind).formats]
    assert {"float16", "dynamic-int8", "static-int8"} <= set(both)
    for kind in both:
        module, _, name = TFLITE_FUNCTIONS[kind].partition(":")
        assert callable(getattr(importlib.import_module(module), name)), kind


def _already_quantized(path: Path) -> Path:
    made, _report = applied(StaticInt8(), mobile_net(path), images())
    return made.rename(path)


def _with_custom(path: Path, name: str) -> Path:
    net = Net()
    source, made = net.tensor("image", (1, 32, 32, 3)), net.tensor("y", (1, 32, 32, 3))
    net.operator("CUSTOM", [source], [made], custom=name)
    return net.write(path, [source], [made])


def _with_while(path: Path) -> Path:
    net = Net()
    source, made = net.tensor("image", (1, 32, 32, 3)), net.tensor("y", (1, 32, 32, 3))
    net.operator("WHILE", [source], [made], "WhileOptions", condSubgraphIndex=0, bodySubgraphIndex=0)
    return net.write(path, [source], [made])


def _with_one_name_twice(path: Path) -> Path:
    net = Net()
    source = net.tensor("image", (1, 32, 32, 3))
    first, second = net.unary("RELU", source), net.unary("ABS", source)

    def rename(model: Any) -> None:
        model.subgraphs[0].tensors[second].name = model.subgraphs[0].tensors[first].name

    return net.write(path, [source], [first, second], change=rename)


@pytest.mark.parametrize(
    ("write", "reason", "words"),
    [
        (_already_quantized, "already_compressed", "is already int8"),
        (lambda path: _with_custom(path, "FlexErf"), "select_tf_ops", "uses the TensorFlow operator Erf"),
        (_with_while, "control_flow", "has control flow or variables (WHILE)"),
        (lambda path: mobile_net(path, signatures=2), "several_signatures", "has 2 signatures"),
        (_with_one_name_twice, "duplicate_names", "two outputs named 'relu0'"),
    ],
)
@pytest.mark.parametrize("step", [StaticInt8(), DynamicInt8(), Float16()])
def test_a_model_that_cannot_be_quantized_is_refused_in_a_sentence(
    tmp_path: Path, step: Any, write: Callable[[Path], Path], reason: str, words: str
) -> None:
    model = write(tmp_path / "m.tflite")
    with pytest.raises(CompressionInputError, match=r"m\.tflite") as caught:
        applied(step, model, images())
    assert caught.value.reason == reason
    assert words in str(caught.value)


@pytest.mark.parametrize("step", [StaticInt8(), DynamicInt8(), Float16()])
def test_a_model_without_anything_to_quantize_is_refused(tmp_path: Path, step: Any) -> None:
    net = Net()
    source = net.tensor("image", (1, 32, 32, 3))
    model = net.write(tmp_path / "m.tflite", [source], [net.unary("ELU", source)])
    with pytest.raises(CompressionInputError, match="has no operator that") as caught:
        applied(step, model, images())
    assert caught.value.reason == "nothing_to_quantize"


@pytest.mark.parametrize(
    ("calibration", "reason", "words"),
    [
        (None, "no_calibration_data", "give a task with a calibration split"),
        (images(shape=(3, 32, 32)), "invalid_calibration", "takes float32 [1, 32, 32, 3]"),
        (images(name="picture"), "invalid_calibration", "the calibration data is for picture"),
    ],
)
def test_calibration_data_that_does_not_fit_is_refused(
    tmp_path: Path, calibration: Any, reason: str, words: str
) -> None:
    with pytest.raises(CompressionInputError) as caught:
        applied(StaticInt8(), mobile_net(tmp_path / "m.tflite"), calibration)
    assert caught.value.reason == reason
    assert words in str(caught.value)


def test_open_height_and_width_are_calibrated_at_the_datas_size_and_stay_open(tmp_path: Path) -> None:
    changed = read_model(mobile_net(tmp_path / "plain.tflite"))
    changed.subgraphs[0].tensors[0].shapeSignature = np.array([1, -1, -1, 3], np.int32)
    model = tmp_path / "m.tflite"
    write_model(changed, model)
    larger = images(shape=(48, 40, 3))
    made, _report = applied(StaticInt8(), model, larger)
    assert open_session(made).inputs[0].shape == (1, -1, -1, 3)
    assert sqnr_db(outputs(model, larger), outputs(made, larger)) > 20


@pytest.mark.parametrize(
    ("step", "least_sqnr_db", "words"),
    [
        (StaticInt8(), 20, "15 of 15 operators compute in 8 bits"),
        (DynamicInt8(), 30, "4 of 15 operators have weights of 8 bits; left in float: 2 BATCH_MATMUL"),
        (Float16(), 50, "4 weight tensors are stored in float16"),
    ],
)
def test_attention_is_quantized(tmp_path: Path, step: Any, least_sqnr_db: float, words: str) -> None:
    model = attention(tmp_path / "m.tflite")
    made, report = applied(step, model, images(24, shape=(16, 32), name="x"))
    shown = images(seed=9, shape=(16, 32), name="x")
    assert sqnr_db(outputs(model, shown), outputs(made, shown)) > least_sqnr_db
    assert report.notes[0].startswith(words)
