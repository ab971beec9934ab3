"""The training loop: it learns, it goes on where it was interrupted, and it ends well when a run does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.compress.evaluation import EvaluationSet
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.auc import Auc
from steelyard.tasks.metrics.regression import RootMeanSquareError
from steelyard.train.errors import TrainingError, TrainingInputError
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.losses import LabelLoss
from steelyard.train.loop.objective import Batch, TrainingHook
from steelyard.train.loop.trainable import TrainableModel
from tests.controller.train.loop.small_trainings import (
    Interrupted,
    interrupt_in,
    is_update,
    network,
    samples,
    settings,
    trainer,
    weights,
)

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


class Spoilt(LabelLoss):
    """A loss that is no number from an update on."""

    def terms(self, model: TrainableModel, batch: Batch) -> Mapping[str, Any]:
        self.__class__.count += 1
        term = super().terms(model, batch)[self.name]
        return {self.name: term * float("nan") if self.__class__.count > self.__class__.good else term}


def spoilt(good: int) -> LabelLoss:
    return type("Spoilt", (Spoilt,), {"count": 0, "good": good})(name="cross-entropy", output="logits")


def test_a_network_learns_two_classes(tmp_path: Path) -> None:
    told: list[str] = []
    model = network()
    outcome = trainer(model, Checkpoints(tmp_path), progress=lambda message, done, total: told.append(message)).run()
    assert all(one.is_contiguous() for one in model.module.parameters()), "they lie as exporters know them"
    assert outcome.before.value < 0.8
    assert outcome.kept.value > 0.95
    assert [record.number for record in outcome.records] == [1, 2, 3]
    assert outcome.records[0].loss > outcome.records[-1].loss
    assert any(message.startswith("epoch 3 of 3: loss 0.") and "top1 " in message for message in told)
    assert f"after epoch {outcome.kept_epoch} of 3" in outcome.notes()[0]


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_training_that_was_interrupted_in_any_epoch_ends_with_the_same_bits(
    tmp_path: Path, epoch: int, optimizer: str
) -> None:
    wanted = settings(optimizer=optimizer, augment=("flip", "mixup"), keep_epoch="last")
    whole = network(normalized=True)
    trainer(whole, Checkpoints(tmp_path / "whole"), settings=wanted).run()
    with pytest.raises(Interrupted):
        trainer(
            network(normalized=True),
            Checkpoints(tmp_path / "parts"),
            settings=wanted,
            progress=interrupt_in(epoch, of=3, update=3),
        ).run()
    resumed = network(seed=9, normalized=True)
    outcome = trainer(resumed, Checkpoints(tmp_path / "parts"), settings=wanted).run()
    assert outcome.resumed_from == epoch - 1
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        model = network()
        trainer(model, Checkpoints(tmp_path / name), seed=seed, settings=settings(epochs=1)).run()
        made.append(weights(model))
    for one, other in zip(made[0], made[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(made[0], made[2], strict=True))


def test_a_loss_that_is_no_number_leaves_the_last_good_model_and_says_so(tmp_path: Path) -> None:
    model = network()
    outcome = trainer(model, Checkpoints(tmp_path), objective=spoilt(good=13)).run()
    assert outcome.epoch_count == 2
    assert "stopped in epoch 3: the loss is no number any more; the model of epoch" in outcome.stopped
    assert "try learning_rate = 5e-05" in outcome.stopped
    assert all(np.isfinite(one).all() for one in weights(model))


def test_a_loss_that_is_no_number_in_the_first_epoch_is_refused_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"in epoch 1, with the learning rate 0\.0005.*try learning_rate") as caught:
        trainer(network(), Checkpoints(tmp_path), objective=spoilt(good=2)).run()
    assert caught.value.reason == "not_a_number"


def test_a_run_that_diverges_ends_with_the_model_before(tmp_path: Path) -> None:
    class Kick(TrainingHook):
        def after_update(self, model: TrainableModel, update: int, update_count: int) -> None:
            if update == 13:
                with torch.no_grad():
                    model.module[-1].weight.mul_(-3000)

    outcome = trainer(network(), Checkpoints(tmp_path), hooks=(Kick(),)).run()
    assert "stopped in epoch 3: the run diverges" in outcome.stopped
    assert outcome.kept.value > 0.9


@pytest.mark.parametrize("kept", ["best", "last"])
def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path, kept: str) -> None:
    wanted = settings(epochs=40, patience=3, keep_epoch=kept)
    outcome = trainer(network(), Checkpoints(tmp_path), settings=wanted).run()
    assert outcome.epoch_count < 40
    assert outcome.kept_epoch == outcome.epoch_count - (3 if kept == "best" else 0)
    assert "3 of them without a better top1" in outcome.stopped


def test_a_budget_of_time_ends_a_run_before_it_is_spent(tmp_path: Path) -> None:
    clock = iter(range(0, 100_000, 5))
    outcome = trainer(
        network(), Checkpoints(tmp_path), settings=settings(epochs=50, max_minutes=1.0), clock=lambda: next(clock)
    ).run()
    assert 1 < outcome.epoch_count < 12
    assert "would not end within max_minutes = 1" in outcome.stopped


def test_the_model_as_it_came_stays_where_no_epoch_is_better(tmp_path: Path) -> None:
    model = network()
    trainer(model, Checkpoints(tmp_path / "good"), settings=settings(epochs=6)).run()
    good = weights(model)
    # A rate at which everything is forgotten, over an epoch.
    outcome = trainer(
        model, Checkpoints(tmp_path / "worse"), settings=settings(epochs=1, learning_rate=3.0, clip_norm=0)
    ).run()
    assert outcome.kept_epoch == 0
    assert "its weights are unchanged" in outcome.notes()[0]
    for one, other in zip(good, weights(model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "words",
    [
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
        "could not create a primitive",
    ],
)
def test_a_lack_of_memory_proposes_half_the_batch(tmp_path: Path, words: str) -> None:
    class Greedy(LabelLoss):
        def terms(self, model: TrainableModel, batch: Batch) -> Mapping[str, Any]:
            raise RuntimeError(words)

    with pytest.raises(TrainingError, match=r"batch of 40 samples.*batch_size = 20") as caught:
        trainer(network(), Checkpoints(tmp_path), objective=Greedy(name="cross-entropy", output="logits")).run()
    assert caught.value.reason == "out_of_memory"


def test_samples_to_compare_by_come_in_batches_that_fit_where_those_to_learn_from_do(tmp_path: Path) -> None:
    sizes: list[int] = []
    model = network()
    model.module.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    trainer(model, Checkpoints(tmp_path), settings=settings(epochs=1, batch_size=8)).run()
    assert max(sizes) == 32


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    bare = TrainableModel(module=torch.nn.Flatten(), input_names=("image",), output_names=("logits",))
    with pytest.raises(TrainingInputError, match="the model has no weights that could learn"):
        trainer(bare, Checkpoints(tmp_path)).run()


def test_what_a_hook_does_in_the_end_is_in_the_model_that_stays(tmp_path: Path) -> None:
    class Late(TrainingHook):
        def first_kept_epoch(self, epoch_count: int) -> int:
            return epoch_count

    outcome = trainer(network(), Checkpoints(tmp_path), hooks=(Late(),), settings=settings(epochs=5)).run()
    assert outcome.kept_epoch == 5


def test_a_model_that_is_to_stay_and_is_gone_is_no_success(tmp_path: Path) -> None:
    def lost(message: str, done: int, total: int) -> None:
        if is_update(message, done, total, epoch=3, of=3, update=total):
            (tmp_path / "best.pt").unlink(missing_ok=True)

    # A rate at which the last epoch changes nothing.
    wanted = settings(learning_rate=1e-12)
    with pytest.raises(TrainingError, match="the model of epoch 0, which is to stay, is gone"):
        trainer(network(), Checkpoints(tmp_path), settings=wanted, progress=lost).run()


def test_the_statistics_of_batchnorm_are_taken_anew(tmp_path: Path) -> None:
    model = network(normalized=True)
    norm = model.module[1]
    norm.running_mean.fill_(50.0)
    norm.running_var.fill_(900.0)
    trainer(model, Checkpoints(tmp_path), settings=settings(epochs=1, batchnorm_batches=6, learning_rate=1e-6)).run()
    assert float(norm.running_mean.abs().max()) < 2
    assert float(norm.running_var.max()) < 5
    assert norm.momentum == 0.1


def test_epochs_are_compared_by_the_loss_where_the_metric_has_no_value(tmp_path: Path) -> None:
    rows = samples(40, seed=1, metric=Auc())
    ones = np.flatnonzero(rows.truth["labels"] == 1).astype(np.int64)
    one_class = TrainingData.of(rows)._only(ones)
    outcome = trainer(network(), Checkpoints(tmp_path), validation=one_class).run()
    assert outcome.kept.name == "loss"
    assert outcome.kept.value < outcome.before.value


def test_outputs_that_do_not_fit_the_metric_are_refused(tmp_path: Path) -> None:
    rows = samples(40, seed=1, metric=RootMeanSquareError())
    targets = EvaluationSet(
        split="validation", metric=rows.metric, data=rows.data, truth={"targets": np.zeros((40, 5))}
    )
    with pytest.raises(TaskError):
        trainer(network(), Checkpoints(tmp_path), validation=TrainingData.of(targets)).run()
