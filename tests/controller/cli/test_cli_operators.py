"""`steelyard operators`: with a device and without one."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.controller.cli.running import Ran
from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.layer_truth import FOLDER


def test_without_a_device_the_layers_of_the_file_are_counted(steelyard) -> None:
    ran: Ran = steelyard("operators", FOLDER / "keyword_spotting.tflite", "--no-run", "--top", "4")
    assert ran.code == 0, ran.err
    assert "the 4 of 15 layers that multiply most" in ran.out
    assert "2.66 M multiply-accumulates, 22.6 k parameters" in ran.out
    assert "CONV_2D_3" in ran.out
    everything: Ran = steelyard("operators", FOLDER / "keyword_spotting.tflite", "--no-run", "--all")
    assert "15 layers" in everything.out
    assert "SOFTMAX_13" in everything.out


def test_programs_get_every_layer_with_what_is_not_known_as_null(steelyard, inputs: Path) -> None:
    ran: Ran = steelyard("operators", inputs / "dynamic.onnx", "--no-run", "--json")
    document = ran.document
    assert document["kind"] == "layers"
    assert document["byte_count"] is None
    assert document["layers"][0]["byte_count"] is None
    sized: Ran = steelyard("operators", inputs / "dynamic.onnx", "--no-run", "--json", "--shape", "image=1x3x8x8")
    assert sized.document["byte_count"] > 0
    assert sized.document["mac_count"] == 9


def test_a_file_that_is_none_is_one_sentence(steelyard, tmp_path: Path) -> None:
    assert "there is no model file" in steelyard("operators", "nothing.onnx", "--no-run").is_refused()
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"no model at all")
    assert "garbage.onnx" in steelyard("operators", garbage, "--no-run").is_refused()
    shutil.copyfile(FOLDER / "keyword_spotting.tflite", tmp_path / "model.tflite")
    line = steelyard("operators", tmp_path / "model.tflite", "--no-run", "--shape", "x=1x2").is_refused()
    assert "the model has no input 'x'" in line


def test_a_device_tells_what_each_operator_takes(steelyard, inputs: Path) -> None:
    ran: Ran = steelyard("operators", inputs / "conv.onnx", "--local", "--top", "2", *ANYWHERE_FLAGS)
    assert ran.code == 0, ran.err
    assert "the 2 longest of " in ran.out
    assert "--all shows all of them" in ran.out
    assert "at most, this device did float32 multiply-accumulate" in ran.out
    # 12 x 12 positions, 8 kernels of 9 taps, and 8 x 10.
    assert "10.4 k multiply-accumulates" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    document = steelyard("operators", inputs / "conv.onnx", "--local", "--json", *ANYWHERE_FLAGS).document
    assert document["kind"] == "operators"
    assert document["operators"]["mac_count"] == 12 * 12 * 8 * 9 + 80
    assert document["operators"]["operators"][0]["share"] > 0
    assert {"MAC/s", "B/s"} == {rate["unit"] for rate in document["roofline"]}
