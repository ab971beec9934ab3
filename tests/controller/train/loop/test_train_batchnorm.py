"""Statistics of BatchNorm taken anew: those of the batches, and nothing else of the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.batchnorm import reestimate
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.trainable import TrainableModel
from tests.controller.train.loop.small_trainings import network, settings, trainer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def test_the_statistics_are_the_means_of_those_of_the_batches() -> None:
    model = network(normalized=True)
    convolution, norm = model.module[0], model.module[1]
    weights = [one.detach().clone() for one in model.module.parameters()]
    batches = [torch.randn(8, 1, 8, 8), 3 + torch.randn(8, 1, 8, 8)]
    assert reestimate(model, ({"image": one} for one in batches)) == 1
    with torch.no_grad():
        given = [convolution(one).transpose(0, 1).flatten(1) for one in batches]
    torch.testing.assert_close(norm.running_mean, (given[0].mean(1) + given[1].mean(1)) / 2)
    torch.testing.assert_close(norm.running_var, (given[0].var(1) + given[1].var(1)) / 2)
    assert not any(one.training for one in model.module.modules())
    for before, now in zip(weights, model.module.parameters(), strict=True):
        assert torch.equal(before, now)


def test_a_model_without_batchnorm_is_not_run() -> None:
    assert reestimate(network(), iter([{"nothing": torch.zeros(1)}])) == 0


def test_a_batch_that_gives_one_value_a_channel_is_refused(tmp_path: Path) -> None:
    layers = [torch.nn.Flatten(), torch.nn.Linear(64, 2), torch.nn.BatchNorm1d(2)]
    model = TrainableModel(module=torch.nn.Sequential(*layers), input_names=("image",), output_names=("logits",))
    with pytest.raises(TrainingInputError, match=r"a batch of 1 sample .* write batch_size = 2") as caught:
        trainer(model, Checkpoints(tmp_path), settings=settings(batch_size=1)).run()
    assert caught.value.reason == "batch_too_small"
