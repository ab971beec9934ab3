"""What is written as a task is read back as a task: splits, truth, preprocessing and metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.compression.task_files import (
    DATA_FILE,
    TASK_FILE,
    Rows,
    TaskData,
    every_kth,
    labelled,
    prepared,
    split_counts,
    unlabelled,
    write_task,
)

from steelyard.tasks.load import load_task


def _task() -> TaskData:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (12, 4, 5), dtype=np.uint8)
    return TaskData(
        description='says "what" it is',
        splits={
            "evaluation": labelled(images[:7], np.arange(7) % 2),
            "calibration": unlabelled(images[7:10]),
            "validation": labelled(images[10:], np.array([1, 0])),
        },
        preprocess={"divide": 255.0, "mean": [0.5], "layout": "NCHW"},
        metric={"kind": "top1"},
        class_names=("no", "yes"),
        licence="MIT",
    )


def test_a_task_is_loaded_as_it_was_written(tmp_path: Path) -> None:
    task = _task()
    write_task(tmp_path, "planted", task)
    loaded = load_task(tmp_path / TASK_FILE)
    assert (loaded.name, loaded.licence, loaded.description) == ("planted", "MIT", 'says "what" it is')
    assert loaded.class_names == ("no", "yes")
    assert loaded.calibration is not None
    assert loaded.validation is not None
    np.testing.assert_array_equal(loaded.evaluation.inputs[""], task.splits["evaluation"].inputs[""])
    np.testing.assert_array_equal(loaded.calibration.inputs[""], task.splits["calibration"].inputs[""])
    assert loaded.validation.truth["labels"].tolist() == [1, 0]
    assert loaded.model_spec("")[1] == (1, 4, 5)


def test_several_inputs_and_truth_that_is_no_label_keep_their_names(tmp_path: Path) -> None:
    inputs = {"ids": np.arange(6).reshape(3, 2), "mask": np.eye(3, 2, dtype=np.int64)}
    rows = Rows(inputs=inputs, truth={"targets": np.array([0.5, 1.5, 2.5])})
    write_task(tmp_path, "two", TaskData(description="d", splits={"evaluation": rows}, metric={"kind": "mae"}))
    loaded = load_task(tmp_path / TASK_FILE)
    assert sorted(loaded.evaluation.inputs) == ["ids", "mask"]
    assert loaded.evaluation.truth["targets"].tolist() == [0.5, 1.5, 2.5]


def test_the_same_task_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_task(tmp_path / name, "planted", _task())
    for file in (TASK_FILE, DATA_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_counts_are_those_of_the_splits(tmp_path: Path) -> None:
    write_task(tmp_path, "planted", _task())
    assert split_counts(tmp_path / DATA_FILE) == {"evaluation": 7, "calibration": 3, "validation": 2, "training": 0}


def test_neighbours_of_one_block_are_chosen_together() -> None:
    assert np.flatnonzero(every_kth(12, 3, offset=1, block=2)).tolist() == [2, 3, 8, 9]


def test_a_folder_is_made_once_for_the_same_source_and_anew_for_another(tmp_path: Path) -> None:
    source, made = tmp_path / "source", []
    source.write_text("one")

    def write(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("done")

    first = prepared(tmp_path / "cache", "name", [source], write)
    assert prepared(tmp_path / "cache", "name", [source], write) == first
    source.write_text("two")
    second = prepared(tmp_path / "cache", "name", [source], write)
    assert (len(made), first != second) == (2, True)
    assert (second / "file").read_text() == "done"


def test_a_folder_that_could_not_be_filled_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        prepared(tmp_path / "cache", "name", [Path(__file__)], fail)
    assert list((tmp_path / "cache").iterdir()) == []


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\] samples"):
        Rows(inputs={"a": np.zeros(2), "b": np.zeros(3)})
