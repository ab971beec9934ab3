"""Trainings side by side: all of them end, in the order that they need, and what cannot be run is named."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from benchmarks.latency_block import BlockError
from benchmarks.training.lanes import made_side_by_side, ready
from benchmarks.training.recipe_runs import Variant, file_of
from benchmarks.training.training_tasks import TrainedModel

from tests.support import models
from tests.support.processes import wait_until

COUNT = 40


def copied(original: Path, training: Any, seed: int, target: Path) -> None:
    shutil.copyfile(original, target)


def stuck(original: Path, training: Any, seed: int, target: Path) -> None:
    (target.parent / "process.new").write_text(str(os.getpid()))
    (target.parent / "process.new").rename(target.parent / "process")
    time.sleep(600)


def make_all(model: TrainedModel, folder: Path, variant: Variant) -> None:
    list(made_side_by_side(model, folder, [(variant, 0)]))


@pytest.fixture
def model(tmp_path: Path) -> TrainedModel:
    rng = np.random.default_rng(0)
    arrays = {f"{split}_x": rng.standard_normal((COUNT, 4)).astype(np.float32) for split in ("e", "v", "t")}
    truths = {f"{split}_y": rng.integers(0, 3, COUNT) for split in ("e", "v", "t")}
    np.savez(tmp_path / "data.npz", **arrays, **truths)
    splits = {"e": "evaluation", "v": "validation", "t": "training"}
    tables = [f'[{name}]\ninputs = "{split}_x"\nlabels = "{split}_y"\n' for split, name in splits.items()]
    task = tmp_path / "task.toml"
    task.write_text("\n".join(['name = "drawn"\ndata = "data.npz"\n', *tables]))
    file = models.linear_model(tmp_path / "linear.onnx")
    return TrainedModel(name="linear", model=file, task=task, training_count=COUNT)


def test_a_recipe_that_goes_on_from_another_waits_for_that_of_its_seed() -> None:
    first = Variant(name="first", recipe="qat")
    second = Variant(name="second", recipe="qat+static-int8", after="first")
    jobs = [(first, 0), (second, 0), (first, 1), (second, 1)]
    assert ready(jobs, []) == [(first, 0), (first, 1)]
    assert ready([(second, 0), (second, 1)], [(first, 1)]) == [(second, 0)]
    assert ready([(second, 0)], []) == [(second, 0)]


def test_every_seed_is_made_and_what_goes_on_from_another_ends_behind_it(model: TrainedModel, tmp_path: Path) -> None:
    first = Variant(name="first", recipe="copied", peer=copied)
    second = Variant(name="second", recipe="copied again", peer=copied, after="first")
    jobs = [(second, 0), (first, 0), (first, 1)]
    made = {(variant.name, seed): one for (variant, seed), one in made_side_by_side(model, tmp_path / "made", jobs)}
    assert set(made) == {("first", 0), ("first", 1), ("second", 0)}
    assert made["first", 0]["ended_s"] <= made["second", 0]["began_s"] + 0.1
    assert all(one["count"] == COUNT and one["parameters"] == 15 for one in made.values())
    assert file_of(model, tmp_path / "made", "first", 1).read_bytes() == model.model.read_bytes()


def test_a_recipe_that_cannot_be_run_is_named_with_its_seed(model: TrainedModel, tmp_path: Path) -> None:
    broken = Variant(name="broken", recipe="prune,amount=0.0001,epochs=0,least=0.9")
    with pytest.raises(BlockError, match=r"^broken, seed 3: "):
        list(made_side_by_side(model, tmp_path / "made", [(broken, 3)]))


def test_nothing_to_make_starts_nothing(model: TrainedModel, tmp_path: Path) -> None:
    assert list(made_side_by_side(model, tmp_path / "made", [])) == []
    assert not (tmp_path / "made").exists()


def test_a_training_ends_with_a_benchmark_that_is_killed(model: TrainedModel, tmp_path: Path) -> None:
    variant = Variant(name="stuck", recipe="stuck", peer=stuck)
    benchmark = multiprocessing.get_context("spawn").Process(target=make_all, args=(model, tmp_path, variant))
    benchmark.start()
    told = tmp_path / "process"
    wait_until(told.is_file)
    training = psutil.Process(int(told.read_text()))
    benchmark.kill()
    benchmark.join()
    wait_until(lambda: not training.is_running() or training.status() == psutil.STATUS_ZOMBIE)
