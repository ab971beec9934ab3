"""Tasks are loaded from TOML or .npz, checked, and every mistake is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.tasks.checks import check_fits
from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import materialise
from steelyard.tasks.metrics.device_outputs import read_labels
from steelyard.tasks.packing import unpack
from steelyard_protocol.v1 import common_pb2

_TASK = """
name = "shapes"
data = "shapes.npz"
licence = "MIT"
description = "drawn"

[evaluation]
inputs = "x_eval"
labels = "y_eval"

[calibration]
inputs = "x_calib"

[preprocess]
divide = 255.0
mean = [0.25]
std = [0.5]
layout = "NCHW"

[metric]
kind = "top1"
class_names = "class_names"
"""


def _arrays(**changes: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {
        "x_eval": rng.integers(0, 256, (8, 5, 4), dtype=np.uint8),
        "y_eval": np.arange(8) % 3,
        "x_calib": rng.integers(0, 256, (3, 5, 4), dtype=np.uint8),
        "class_names": np.array(["a", "b", "c"]),
    }
    return {name: value for name, value in (arrays | changes).items() if value is not None}


def _write(folder: Path, text: str = _TASK, **changes: Any) -> Path:
    np.savez(folder / "shapes.npz", **_arrays(**changes))
    (folder / "shapes.toml").write_text(text, encoding="utf-8")
    return folder / "shapes.toml"


def _reason(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        load_task(path)
    assert caught.value.exit_code == 2
    return caught.value.reason


def _signature(shape: tuple[int | str, ...], dtype: str = "float32", classes: int | str = 3) -> common_pb2.Signature:
    return common_pb2.Signature(
        inputs=[_spec("image", shape, dtype)], outputs=[_spec("logits", ("batch", classes), "float32")]
    )


def _spec(name: str, shape: tuple[int | str, ...], dtype: str) -> common_pb2.TensorSpec:
    dimensions = [
        common_pb2.Dimension(size=size) if isinstance(size, int) else common_pb2.Dimension(symbol=size)
        for size in shape
    ]
    return common_pb2.TensorSpec(name=name, dtype=dtype, dimensions=dimensions)


def test_a_task_file_is_loaded_with_everything_it_says(tmp_path: Path) -> None:
    task = load_task(_write(tmp_path))
    assert (task.name, task.licence, task.metric) == ("shapes", "MIT", "top1")
    assert task.class_names == ("a", "b", "c")
    assert task.labels.dtype == np.int64
    assert task.model_shape() == (1, 5, 4)
    assert task.model_dtype() == np.float32


def test_preprocessing_is_float32_arithmetic_in_the_written_order(tmp_path: Path) -> None:
    task = load_task(_write(tmp_path))
    stored = task.evaluation_inputs
    expected = (stored.astype(np.float32) / np.float32(255) - np.float32(0.25)) / np.float32(0.5)
    np.testing.assert_array_equal(task.model_inputs(stored), expected[:, None])


def test_materialised_blobs_hold_the_inputs_bit_for_bit_and_the_labels(tmp_path: Path) -> None:
    task = load_task(_write(tmp_path))
    made = materialise(task, "image")
    assert made == materialise(load_task(_write(tmp_path)), "image")
    np.testing.assert_array_equal(unpack(made.evaluation_bytes)["image"], task.model_inputs(task.evaluation_inputs))
    assert made.calibration_bytes is not None
    np.testing.assert_array_equal(unpack(made.calibration_bytes)["image"], task.model_inputs(_arrays()["x_calib"]))
    np.testing.assert_array_equal(read_labels(made.labels_bytes), task.labels)
    assert (made.evaluation_sample_count, made.calibration_sample_count) == (8, 3)
    assert b"labels" not in made.evaluation_bytes


def test_colour_images_are_normalised_by_channel_and_moved(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = _TASK.replace("[0.25]", "[0.1, 0.2, 0.3]").replace("[0.5]", "[1.0, 2.0, 4.0]")
    images = rng.integers(0, 256, (8, 5, 4, 3), dtype=np.uint8)
    path = _write(tmp_path, text, x_eval=images, x_calib=images[:2] ^ 255)
    chw = load_task(path).model_inputs(images)
    hwc = load_task(path, layout="NHWC").model_inputs(images)
    assert (chw.shape, hwc.shape) == ((8, 3, 5, 4), (8, 5, 4, 3))
    np.testing.assert_array_equal(chw.transpose(0, 2, 3, 1), hwc)
    np.testing.assert_allclose(chw[:, 2], (images[..., 2] / 255 - 0.3) / 4, rtol=1e-5, atol=1e-6)


def test_a_bare_npz_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    inputs = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    np.savez_compressed(path, x=inputs, y=np.zeros(6, np.int32))
    task = load_task(path)
    assert (task.name, task.calibration_inputs, task.preprocess) == ("digits", None, None)
    assert task.model_inputs(inputs) is inputs
    assert materialise(task, "x").calibration_bytes is None


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("licence", "license", "'licence'"),
        ("divide", "devide", "'divide'"),
        ("[metric]", "[metrics]", "'metric'"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest(tmp_path: Path, old: str, new: str, match: str) -> None:
    with pytest.raises(TaskError, match=f"did you mean {match}"):
        load_task(_write(tmp_path, _TASK.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('name = "shapes"', "", "missing_key"),
        ('name = "shapes"', "name = 3", "invalid_task"),
        ('inputs = "x_eval"', "", "missing_key"),
        ('kind = "top1"', 'kind = "top2"', "invalid_task"),
        ("divide = 255.0", "divide = 0.0", "invalid_task"),
        ("divide = 255.0", 'divide = "255"', "invalid_task"),
        ("mean = [0.25]", "mean = []", "invalid_task"),
        ("mean = [0.25]", "mean = [nan]", "invalid_task"),
        ('layout = "NCHW"', 'layout = "CHWN"', "invalid_task"),
        ('[calibration]\ninputs = "x_calib"', "", ""),
        ('data = "shapes.npz"', 'data = "other.npz"', "data_not_found"),
        ('inputs = "x_eval"', 'inputs = "x_evil"', "array_missing"),
        ("[metric]", "[metric", "invalid_task"),
        ('[evaluation]\ninputs = "x_eval"\nlabels = "y_eval"', 'evaluation = "x"', "invalid_task"),
    ],
)
def test_mistakes_in_a_task_file_are_told_apart(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in _TASK
    path = _write(tmp_path, _TASK.replace(old, new))
    if reason:
        assert _reason(path) == reason
    else:
        assert load_task(path).calibration_inputs is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x_eval": np.zeros((0, 5, 4), np.uint8)}, "empty_data"),
        ({"y_eval": np.zeros(7, np.int64)}, "lengths_differ"),
        ({"y_eval": np.zeros(8)}, "invalid_labels"),
        ({"y_eval": np.zeros((8, 1), np.int64)}, "invalid_labels"),
        ({"y_eval": np.full(8, -1)}, "invalid_labels"),
        ({"x_eval": np.full((8, 5, 4), np.nan, np.float32)}, "not_finite"),
        ({"x_calib": np.full((3, 5, 4), np.inf)}, "not_finite"),
        ({"x_eval": np.full((8, 5, 4), "a")}, "invalid_dtype"),
        ({"x_calib": np.zeros((3, 5, 5), np.uint8)}, "shapes_differ"),
        ({"y_eval": None}, "array_missing"),
        ({"x_eval": np.full((8, 5, 4), None)}, "pickled_array"),
    ],
)
def test_data_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    assert _reason(_write(tmp_path, **changes)) == reason


def test_calibration_samples_of_the_evaluation_data_are_counted(tmp_path: Path) -> None:
    shared = _arrays()["x_eval"][[2, 5]].astype(np.int64)
    calibration = np.concatenate([_arrays()["x_calib"].astype(np.int64), shared])
    with pytest.raises(TaskError, match="2 of 5 calibration samples") as caught:
        load_task(_write(tmp_path, x_calib=calibration))
    assert caught.value.reason == "shared_samples"


def test_files_that_are_no_tasks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.npz").write_bytes(b"noise" * 20)
    (tmp_path / "cut.npz").write_bytes(_cut(tmp_path))
    (tmp_path / "noise.toml").write_bytes(b"\xff\xfe")
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    assert _reason(tmp_path / "nothing.toml") == "task_not_found"
    assert _reason(tmp_path / "nothing.npz") == "data_not_found"
    assert _reason(tmp_path / "noise.toml") == "task_unreadable"
    for name in ("noise.npz", "cut.npz", "single.npz"):
        assert _reason(tmp_path / name) == "invalid_npz"


def _cut(folder: Path) -> bytes:
    np.savez(folder / "whole.npz", x=np.zeros(100))
    return (folder / "whole.npz").read_bytes()[:300]


def test_a_layout_for_data_that_is_no_image_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 4), np.float32), y=np.zeros(3, np.int64))
    task = load_task(tmp_path / "rows.npz", layout="NCHW")
    with pytest.raises(TaskError, match="leave the layout out"):
        check_fits(task, _signature(("batch", 4)))


def test_channels_that_do_not_fit_the_mean_are_refused(tmp_path: Path) -> None:
    task = load_task(_write(tmp_path, _TASK.replace("[0.25]", "[0.1, 0.2, 0.3]")))
    with pytest.raises(TaskError, match="3 values and the data has 1 channels"):
        materialise(task, "image")


def test_data_that_fits_a_model_gives_the_name_of_its_input(tmp_path: Path) -> None:
    task = load_task(_write(tmp_path))
    assert check_fits(task, _signature(("batch", 1, 5, 4))) == "image"
    assert check_fits(task, _signature((1, 1, "height", 4), classes="classes")) == "image"


@pytest.mark.parametrize(
    ("signature", "reason", "match"),
    [
        (_signature(("batch", 5, 4, 1)), "shape_mismatch", "NCHW or NHWC"),
        (_signature(("batch", 20)), "shape_mismatch", r"\[1, 5, 4\]"),
        (_signature(("batch", 1, 5, 4), "int8"), "dtype_mismatch", "takes int8"),
        (_signature(("batch", 1, 5, 4), classes=2), "label_out_of_range", "label 2 .* 2 classes"),
    ],
)
def test_data_that_does_not_fit_a_model_is_refused(
    tmp_path: Path, signature: common_pb2.Signature, reason: str, match: str
) -> None:
    with pytest.raises(TaskError, match=match) as caught:
        check_fits(load_task(_write(tmp_path)), signature)
    assert caught.value.reason == reason


def test_a_model_with_two_inputs_needs_a_name(tmp_path: Path) -> None:
    task = load_task(_write(tmp_path))
    signature = _signature(("batch", 1, 5, 4))
    signature.inputs.append(_spec("mask", ("batch",), "float32"))
    assert check_fits(task, signature, input_name="image") == "image"
    for name in ("", "picture"):
        with pytest.raises(TaskError, match="image, mask"):
            check_fits(task, signature, input_name=name)
