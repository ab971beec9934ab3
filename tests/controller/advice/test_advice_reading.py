"""Facts of real files."""

from __future__ import annotations

from pathlib import Path

from steelyard.advice.advising import advise
from steelyard.advice.facts import CONVOLUTIONS, PERCEPTRON, RECURRENCE, Situation
from steelyard.advice.reading import read_model, steps_for
from tests.controller.advice.situations import device
from tests.support import models
from tests.support.tflite_nets import mobile_net


def test_a_file_is_read_without_being_run(tmp_path: Path) -> None:
    path = models.conv_model(tmp_path / "conv.onnx", depth=2)
    facts = read_model(path, name="conv", model_format="onnx")
    assert facts.character == CONVOLUTIONS
    assert facts.form == "float32"
    assert facts.size_bytes == path.stat().st_size
    assert facts.mac_count == 12 * 12 * 8 * 9 * (1 + 8) + 80


def test_other_kinds_of_models_are_told_apart(tmp_path: Path) -> None:
    linear = read_model(models.linear_model(tmp_path / "linear.onnx"), name="linear", model_format="onnx")
    assert linear.character == PERCEPTRON
    lstm = read_model(models.lstm_step_model(tmp_path / "lstm.onnx"), name="lstm", model_format="onnx")
    assert lstm.character == RECURRENCE


def test_a_tflite_file_is_advised_on_for_litert(tmp_path: Path) -> None:
    path = mobile_net(tmp_path / "net.tflite")
    facts = read_model(path, name="net", model_format="tflite")
    assert facts.character == CONVOLUTIONS
    assert facts.depthwise_count == 2
    situation = Situation(
        model=facts, device=device(), runtime="litert", step_kinds=steps_for("tflite"), has_calibration=True
    )
    assert [one.recipe for one in advise(situation).recipes[:2]] == ["static-int8", "dynamic-int8"]
