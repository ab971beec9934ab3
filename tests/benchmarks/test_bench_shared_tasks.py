"""Splits of the shared data: disjoint, balanced, complete, and with inputs that are what the models take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.compression import labelled_tasks, unlabelled_tasks
from benchmarks.compression.shared_models import DEFINITIONS
from benchmarks.compression.task_files import TASK_FILE, TaskData, write_task
from numpy.typing import NDArray

from steelyard.tasks.load import load_task

_RNG = np.random.default_rng(5)


def _bytes(*shape: int) -> NDArray[np.uint8]:
    return _RNG.integers(0, 256, shape, dtype=np.uint8)


def _signed(*shape: int) -> NDArray[np.int8]:
    return _RNG.integers(-128, 128, shape, dtype=np.int8)


def _planted() -> dict[str, dict[str, NDArray[Any]]]:
    """Return arrays of the names and shapes of the shared files, with fewer rows."""
    names, ten = np.array(["a", "b"]), np.array(list("abcdefghij"))
    kinds = _RNG.integers(0, 257, (40, 2048), dtype=np.int32)
    alternating = np.arange(40, dtype=np.uint8) % 2
    digits = {"x_eval": _bytes(30, 28, 28), "y_eval": np.arange(30) % 10, "x_calib": _bytes(2400, 28, 28)}
    return {
        "digits.npz": {**digits, "y_calib": np.arange(2400) % 10},
        "imagenet20.npz": {"x": _bytes(20, 224, 224, 3), "y": np.arange(20)},
        "cifar20.npz": {"x": _bytes(20, 32, 32, 3), "y": np.arange(20) % 10, "class_names": ten},
        "kws_on_off.npz": {"x": _signed(40, 98, 1, 104), "y": np.arange(40) % 3, "class_names": np.array(list("abc"))},
        "vad.npz": {"x_0db": _signed(40, 9, 64, 21), "y_0db": alternating, "class_names": names},
        "faces.npz": {"x": _bytes(40, 128, 128), "y": np.repeat([1, 0], 20)},
        "textline_0_180.npz": {
            "x": _bytes(40, 48, 192), "width": np.full(40, 100, np.int16), "y": alternating, "class_names": names,
        },
        "magika.npz": {"x": kinds, "y": np.arange(40) % 2, "class_names": names},
    }  # fmt: skip


_PLANTED = _planted()


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)
def test_every_task_loads_with_calibration_samples_that_are_not_evaluated(definition: Any, tmp_path: Path) -> None:
    write_task(tmp_path, definition.name, definition.task(_PLANTED[definition.data]))
    # Loading refuses splits that share a sample.
    loaded = load_task(tmp_path / TASK_FILE)
    assert loaded.calibration is not None
    assert loaded.calibration.sample_count >= 6
    assert loaded.evaluation.sample_count > loaded.calibration.sample_count or definition.data in (
        "digits.npz",
        "imagenet20.npz",
        "cifar20.npz",
    )


def _labels(task: TaskData, split: str = "evaluation") -> NDArray[np.int64]:
    return task.splits[split].truth["labels"]


def test_the_windows_of_a_clip_stay_in_one_split_and_both_classes_in_each() -> None:
    clips = np.repeat(np.arange(24, dtype=np.int8), 9 * 64 * 21).reshape(24, 9, 64, 21)
    task = labelled_tasks.speech({"x_0db": clips, "y_0db": np.arange(24) % 2, "class_names": np.array(["a", "b"])})
    seen = [np.unique(rows.inputs[""]) for rows in task.splits.values()]
    assert sorted(np.concatenate(seen).tolist()) == list(range(24))
    assert all(np.bincount(clip % 2).tolist() == [len(clip) / 2] * 2 for clip in seen)
    np.testing.assert_array_equal(_labels(task), task.splits["evaluation"].inputs[""][:, 0, 0] % 2)


def test_a_text_line_is_zero_to_the_right_of_its_width_and_exact_within(tmp_path: Path) -> None:
    arrays = _PLANTED["textline_0_180.npz"]
    write_task(tmp_path, "lines", labelled_tasks.text_lines(arrays))
    loaded = load_task(tmp_path / TASK_FILE)
    inputs = loaded.model_inputs(loaded.evaluation)[""]
    assert inputs.shape[1:] == (3, 48, 192)
    assert not inputs[..., 100:].any()
    np.testing.assert_allclose(inputs[0, 0, :, :100], arrays["x"][0, :, :100] / 127.5 - 1, atol=1e-6)


def test_a_sound_that_occurs_twice_is_counted_once() -> None:
    once = _signed(10, 98, 1, 104)
    arrays = {"x": np.concatenate((once, once[::-1])), "y": np.arange(20) % 3, "class_names": np.array(list("abc"))}
    task = labelled_tasks.key_words(arrays)
    assert sum(len(rows.inputs[""]) for rows in task.splits.values()) == 10
    assert _labels(task).tolist() == [0, 1, 0, 1, 2, 0, 2, 0]


def test_a_row_of_eight_pictures_is_mirrored_for_calibration() -> None:
    arrays = _PLANTED["cifar20.npz"]
    calibration = labelled_tasks.cifar(arrays).splits["calibration"].inputs[""]
    assert len(calibration) == 16
    np.testing.assert_array_equal(calibration[8:], calibration[:8, :, ::-1])


@pytest.mark.parametrize(
    ("made", "data", "shape", "top"),
    [
        (unlabelled_tasks.picture_crops, "imagenet20.npz", (96, 96, 3), 255.0),
        (unlabelled_tasks.band_frames, "kws_on_off.npz", (50, 10, 1), 225.0),
        (unlabelled_tasks.stacked_frames, "vad.npz", (5, 128, 1), 237.0),
        (unlabelled_tasks.speaker_frames, "kws_on_off.npz", (160, 40), 1.0),
    ],
)
def test_inputs_without_labels_have_the_models_shape_and_range(made: Any, data: str, shape: Any, top: float) -> None:
    inputs = made(_PLANTED[data]).splits["evaluation"].inputs[""]
    assert inputs.shape[1:] == shape
    assert 0.5 * top < inputs.max() <= top
    assert inputs.min() >= 0
    assert inputs.reshape(len(inputs), -1).std(axis=0).mean() > 0
