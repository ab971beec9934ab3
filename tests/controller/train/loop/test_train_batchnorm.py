"""Statistics of BatchNorm taken anew: those of the batches, and nothing else of the model."""

from __future__ import annotations

import pytest

from steelyard.train.loop.batchnorm import reestimate
from tests.controller.train.loop.small_trainings import network

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
