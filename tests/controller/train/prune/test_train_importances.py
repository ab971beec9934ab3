"""Importances give the scores of their papers, for every group of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.train.lift import lift_checked
from steelyard.train.loop.losses import LabelLoss
from steelyard.train.loop.objective import Batch
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.groups import channel_groups, dependency_graph
from steelyard.train.prune.importances import as_importance, importance_of
from steelyard.train.prune.statistics import Statistics
from tests.controller.train.small_networks import residual

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

LOSS = LabelLoss(name="cross-entropy", output="logits")


class Judged:
    """The network with its groups, and nine samples in three batches."""

    def __init__(self, folder: Path) -> None:
        self.lifted = lift_checked(residual(folder / "residual.onnx"))
        self.model = TrainableModel.of(self.lifted)
        groups, _ = channel_groups(self.lifted, dependency_graph(self.lifted), keep=(), heads=True)
        self.groups = {one.root.partition("_")[0]: one.full for one in groups}
        draw = torch.Generator().manual_seed(0)
        self.pictures = torch.randn(9, 1, 8, 8, generator=draw)
        self.labels = torch.randint(0, 2, (9,), generator=draw)

    def batches(self, size: int = 3) -> Iterator[Batch]:
        for at in range(0, 9, size):
            rows = slice(at, at + size)
            yield Batch(inputs={"image": self.pictures[rows]}, truth={"labels": self.labels[rows]})

    def scores(self, kind: str) -> dict[str, Any]:
        """Return the scores of each group, in their order, as one pruning asks for them."""
        statistics = Statistics(self.model, objective=LOSS, batches=self.batches)
        importance = importance_of(kind)
        return {name: importance(one, self.model, statistics) for name, one in self.groups.items()}

    def weight(self, name: str) -> Any:
        return self.lifted.module.get_submodule(f"{name}_Conv").weight


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path)


def test_the_hessians_diagonal_is_the_mean_square_of_all_samples_gradients_in_every_group(judged: Judged) -> None:
    squares: dict[str, Any] = {}
    for batch in judged.batches(size=1):
        judged.lifted.module.zero_grad()
        LOSS.terms(judged.model, batch)["cross-entropy"].backward()
        for name in ("inner", "back"):
            squares[name] = squares.get(name, 0) + judged.weight(name).grad.square() / 9
    # What the inner convolution gives, the one behind it reads: both count.
    made = (judged.weight("inner").detach() ** 2 * squares["inner"]).sum(dim=(1, 2, 3))
    read = (judged.weight("back").detach() ** 2 * squares["back"]).sum(dim=(0, 2, 3))
    both = made + read
    found = judged.scores("hessian")
    assert next(iter(found)) != "inner", "a group behind the first"
    np.testing.assert_allclose(found["inner"], both / both.mean(), rtol=1e-4)
    assert all(bool((scores >= 0).all()) for scores in found.values())


def test_a_filter_and_its_opposite_lie_far_apart_and_two_alike_do_not(judged: Judged) -> None:
    with torch.no_grad():
        inner, back = judged.weight("inner"), judged.weight("back")
        back.zero_()
        inner[1:] = torch.randn(11, 8, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.1
        inner[0], inner[1], inner[2] = inner[3], -4 * inner[3], 4 * inner[3]
    own = inner.detach().flatten(1).double().numpy()
    distances = np.linalg.norm(own[:, None] - own[None], axis=-1).sum(axis=1)
    found = judged.scores("fpgm")["inner"]
    np.testing.assert_allclose(found, distances / distances.mean(), rtol=1e-5)


def test_distances_are_known_of_layers_that_read_their_channels_in_groups(judged: Judged) -> None:
    back, grouped = judged.weight("back"), judged.weight("grouped")
    readers = grouped.detach().double().numpy().reshape(2, 4, 4, 9)
    rows = np.concatenate([part.transpose(1, 0, 2).reshape(4, -1) for part in readers])
    alone = np.linalg.norm(rows[:, None] - rows[None], axis=-1).sum(axis=1)
    with torch.no_grad():
        for one in (back, judged.weight("first"), judged.weight("inner")):
            one.zero_()
    np.testing.assert_allclose(judged.scores("fpgm")["back"], alone / alone.mean(), rtol=1e-5)


def test_a_group_that_the_loss_does_not_hang_on_is_not_judged(judged: Judged) -> None:
    with torch.no_grad():
        judged.weight("back").zero_()
        judged.weight("inner").zero_()
    found = judged.scores("taylor")
    assert found["inner"] is None
    assert found["point"] is not None


def test_torch_prunings_own_hessian_sees_all_samples(judged: Judged) -> None:
    import torch_pruning

    scorer = as_importance(torch_pruning.importance.GroupHessianImportance())
    statistics = Statistics(judged.model, objective=LOSS, batches=judged.batches)
    wanted = judged.scores("hessian")
    for name, group in judged.groups.items():
        np.testing.assert_array_equal(scorer(group, judged.model, statistics), wanted[name])
