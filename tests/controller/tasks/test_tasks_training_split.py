"""The samples that steps learn from: where a task has them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import materialise
from steelyard.tasks.truth import unpack_truth

_TOML = """
name = "sums"
data = "sums.npz"

[evaluation]
inputs = "x"
labels = "y"

[training]
inputs = "tx"
"""


def write_arrays(folder: Path, **more: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.random((6, 3), np.float32), "y": np.arange(6) % 2, "tx": rng.random((9, 3), np.float32)}
    np.savez(folder / "sums.npz", **(arrays | {"ty": np.arange(9) % 2} | more))
    path = folder / "sums.toml"
    path.write_text(_TOML, encoding="utf-8")
    return path


def test_training_samples_travel_with_their_labels(tmp_path: Path) -> None:
    path = write_arrays(tmp_path)
    path.write_text(_TOML + 'labels = "ty"\n', encoding="utf-8")
    made = materialise(load_task(path), {"": "input"}).training
    assert made is not None
    assert made.sample_count == 9
    assert unpack_truth(made.truth or b"")["labels"].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]


def test_training_samples_without_labels_are_kept_for_a_teacher(tmp_path: Path) -> None:
    made = materialise(load_task(write_arrays(tmp_path)), {"": "input"}).training
    assert made is not None
    assert (made.sample_count, made.truth) == (9, None)


def test_a_bare_npz_trains_on_its_own_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {"x": rng.random((4, 2), np.float32), "y": np.arange(4), "x_train": rng.random((7, 2), np.float32)}
    np.savez(tmp_path / "bare.npz", **arrays, y_train=np.arange(7) % 4)
    training = load_task(tmp_path / "bare.npz").training
    assert training is not None
    assert training.truth["labels"].tolist() == [0, 1, 2, 3, 0, 1, 2]


def test_training_samples_that_are_evaluation_samples_are_refused(tmp_path: Path) -> None:
    shared = np.random.default_rng(0).random((6, 3), np.float32)
    with pytest.raises(TaskError, match="3 of 3 training samples are also evaluation samples") as caught:
        load_task(write_arrays(tmp_path, tx=shared[:3]))
    assert caught.value.reason == "shared_samples"
