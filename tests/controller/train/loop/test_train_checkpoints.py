"""What a training keeps on its way: whole or not there, never another's, and refused in a sentence."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.train.errors import TrainingError
from steelyard.train.loop.checkpoints import Checkpoints
from tests.controller.train.loop.small_trainings import (
    Interrupted,
    interrupt_in,
    is_update,
    network,
    settings,
    trainer,
    weights,
)

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


@contextmanager
def no_file_above(size_bytes: int) -> Iterator[None]:
    """Let writes fail behind so many bytes, as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def kept_until(epoch: int, folder: Path) -> Checkpoints:
    """Return what a training of three epochs keeps that is ended in the middle of one of them."""
    with pytest.raises(Interrupted):
        trainer(network(), Checkpoints(folder), progress=interrupt_in(epoch, of=3, update=3)).run()
    return Checkpoints(folder)


def test_a_disk_that_is_full_leaves_what_was_kept_and_the_training_goes_on_from_there(tmp_path: Path) -> None:
    kept = kept_until(2, tmp_path)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with (
        no_file_above(1000),
        pytest.raises(TrainingError, match=r"cannot be kept in .*free space or correct") as caught,
    ):
        trainer(network(), kept).run()
    assert caught.value.reason == "checkpoint_unwritable"
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    whole = network()
    trainer(whole, Checkpoints(tmp_path / "whole")).run()
    resumed = network(seed=5)
    assert trainer(resumed, kept).run().resumed_from == 1
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(TrainingError, match=r"cannot be kept in .*taken/.*Not a directory"):
        trainer(network(), Checkpoints(tmp_path / "taken" / "step")).run()


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
@pytest.mark.parametrize("content", ["half of it", "nothing", "a list"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, name: str, content: str) -> None:
    kept, path = kept_until(3, tmp_path), tmp_path / name
    if content == "a list":
        torch.save([1], path)
    else:
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2 if content == "half of it" else 0])
    with pytest.raises(TrainingError, match=rf"{name} cannot be read.*remove the folder") as caught:
        # A rate at which no epoch is better than those before, so that the best is not written anew.
        trainer(network(), kept, settings=settings(learning_rate=1e-12)).run()
    assert caught.value.reason == "checkpoint_unreadable"


@pytest.mark.parametrize("key", ["module", "optimizer", "records", "kept"])
def test_a_checkpoint_with_a_part_missing_is_named(tmp_path: Path, key: str) -> None:
    kept = kept_until(2, tmp_path)
    state: dict[str, Any] = kept.last() or {}
    del state[key]
    kept.keep_last(state)
    with pytest.raises(TrainingError, match=rf"last\.pt cannot be read \(KeyError: '{key}'\)"):
        trainer(network(), kept).run()


def test_what_was_kept_of_a_model_of_other_sizes_is_left_and_the_training_begins_anew(tmp_path: Path) -> None:
    kept = kept_until(3, tmp_path)
    narrow = network()
    narrow.module[0], narrow.module[-1] = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Linear(256, 2)
    outcome = trainer(narrow, kept).run()
    assert (outcome.resumed_from, outcome.epoch_count) == (0, 3)
    assert any("began anew: what an earlier run kept" in note for note in outcome.notes())


def test_the_best_model_of_another_run_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)

    def another(message: str, done: int, total: int) -> None:
        if is_update(message, done, total, epoch=3, of=3, update=total):
            kept.keep_best({**(kept.best() or {}), "number": 1})

    # A rate at which no epoch is better than the model as it came.
    with pytest.raises(TrainingError, match="run it again, and one of the same recipe at a time"):
        trainer(network(), kept, settings=settings(learning_rate=1e-12), progress=another).run()


def test_a_run_that_ended_between_the_best_model_and_the_rest_of_an_epoch_keeps_that_model(tmp_path: Path) -> None:
    class EndsThere(Checkpoints):
        def keep_last(self, state: Mapping[str, Any]) -> None:
            if len(state["records"]) == 2:
                raise KeyboardInterrupt
            super().keep_last(state)

    with pytest.raises(KeyboardInterrupt):
        trainer(network(), EndsThere(tmp_path), settings=settings(keep_epoch="last")).run()
    late = settings(keep_epoch="last", max_minutes=1e-9)
    outcome = trainer(network(), Checkpoints(tmp_path), settings=late).run()
    assert "stopped after 1 epoch" in outcome.stopped
    assert outcome.kept_epoch == 2
