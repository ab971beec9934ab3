"""The models of the compression benchmarks: what is here has a task that loads, what is not says how to get it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmarks.compression import detector, fashion
from benchmarks.compression.bench_models import (
    CACHE_VARIABLE,
    MODELS_VARIABLE,
    BenchModel,
    bench_models,
    skipped_models,
)
from benchmarks.compression.detector import chosen_canvases, detector_task
from benchmarks.compression.shared_models import DEFINITIONS
from benchmarks.train_detector import detector_metric

from steelyard.tasks.load import load_task
from tests.support.models import linear_model


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, no folder with the models of others, and no Debian package."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(fashion, "DEBIAN_FOLDER", tmp_path / "none")
    return tmp_path / "cache"


def test_without_others_models_the_demos_are_here_and_the_rest_says_why_not(cache: Path) -> None:
    assert [one.name for one in bench_models()] == ["fashion_resnet", "fashion_mobilenet"]
    skipped = {one.name: one.reason for one in skipped_models()}
    assert set(skipped) == {*(one.name for one in DEFINITIONS), "detector", "minilm", "silero"}
    assert "STEELYARD_BENCH_MODELS is not set" in skipped["digits"]
    assert "benchmarks.train_detector --output" in skipped["detector"]
    assert "python -m benchmarks.compression.minilm" in skipped["minilm"]


def test_a_file_that_is_missing_is_named(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    reasons = {one.name: one.reason for one in skipped_models()}
    assert reasons["magika"] == f"there is no file {tmp_path / 'models' / 'magika_standard_v3_3.onnx'}; add it"


def test_a_shared_model_has_a_task_and_its_folder_is_left_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    (shared / "models").mkdir(parents=True)
    (shared / "data").mkdir()
    linear_model(shared / "models" / "digit_recognizer_cnn.onnx")
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2030, 28, 28), dtype=np.uint8)
    labels = np.arange(2030) % 10
    np.savez(
        shared / "data" / "digits.npz", x_eval=images[:30], y_eval=labels[:30], x_calib=images[30:], y_calib=labels[30:]
    )
    before = sorted(shared.rglob("*"))
    monkeypatch.setenv(MODELS_VARIABLE, str(shared))
    [found] = bench_models("digits")
    assert (found.metric, found.evaluation_count, found.calibration_count, found.validation_count) == (
        "top1",
        30,
        1000,
        1000,
    )
    assert found.task.is_relative_to(cache)
    assert load_task(found.task).evaluation.truth["labels"].tolist() == labels[:30].tolist()
    assert sorted(shared.rglob("*")) == before


def test_the_demos_images_are_split_into_balanced_parts(cache: Path) -> None:
    [found] = bench_models("fashion_resnet")
    assert (found.evaluation_count, found.calibration_count, found.validation_count) == (1600, 500, 400)
    task = load_task(found.task)
    assert task.validation is not None
    assert set(np.bincount(task.validation.truth["labels"])) == {40}
    assert set(np.bincount(task.evaluation.truth["labels"])) == {160}


def _canvas_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    samples = np.array([0, 0, 1, 2, 3, 3, 4, 6, 7, 8, 9])
    corners = rng.uniform(0, 40, (len(samples), 2))
    return {
        "x_eval": rng.integers(0, 256, (10, 96, 96), dtype=np.uint8),
        "x_calib": rng.integers(0, 256, (4, 96, 96), dtype=np.uint8),
        "boxes": np.concatenate((corners, corners + 20), axis=1).astype(np.float32),
        "box_labels": np.arange(len(samples)) % 10,
        "box_samples": samples,
        "class_names": np.array([f"class{index}" for index in range(10)]),
    }


def test_boxes_follow_their_canvas_into_its_split() -> None:
    arrays = _canvas_arrays()
    rows = chosen_canvases(arrays, np.isin(np.arange(10), [0, 3, 5, 9]))
    assert rows.truth["box_samples"].tolist() == [0, 0, 1, 1, 3]
    assert rows.truth["box_labels"].tolist() == [0, 1, 4, 5, 0]
    np.testing.assert_array_equal(rows.truth["boxes"], arrays["boxes"][[0, 1, 4, 5, 10]])


def test_a_trained_detector_in_the_cache_becomes_a_task_of_boxes(cache: Path, tmp_path: Path) -> None:
    folder = cache / detector.FOLDER
    folder.mkdir(parents=True)
    np.savez(folder / detector.ARRAYS_FILE, **_canvas_arrays())
    shutil.copy(linear_model(tmp_path / "any.onnx"), folder / detector.MODEL_FILE)
    [found] = bench_models("detector")
    assert (found.metric, found.evaluation_count, found.calibration_count, found.validation_count) == ("map", 8, 4, 2)
    loaded = load_task(found.task)
    assert loaded.metric == detector_metric()
    assert loaded.evaluation.truth["box_samples"].tolist() == [0, 0, 1, 2, 2, 3, 5, 6, 7]
    assert loaded.class_names == detector_task(folder / detector.ARRAYS_FILE).class_names


def test_a_task_without_evaluation_samples_is_refused(tmp_path: Path) -> None:
    counts = {"evaluation_count": 0, "calibration_count": 1, "validation_count": 0}
    with pytest.raises(ValueError, match="0 evaluation samples"):
        BenchModel(name="n", model=tmp_path, task=tmp_path, metric="top1", about="a", **counts)
