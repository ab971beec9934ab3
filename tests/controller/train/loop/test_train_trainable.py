"""Samples that a model cannot take are told of in a sentence, wherever a training meets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.train.errors import TrainingInputError
from steelyard.train.lift import lift
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.trainable import TrainableModel
from tests.controller.train.loop.small_trainings import settings, trainer
from tests.controller.train.small_networks import transformer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def test_an_id_beyond_the_vocabulary_is_told_with_the_ids_of_the_batch(tmp_path: Path) -> None:
    words = TrainableModel.of(lift(transformer(tmp_path / "words.onnx", depth=1)))
    ids = torch.tensor([[0, 1, 2, 3, 4, 19]])
    assert words.run({"ids": ids})["logits"].shape == (1, 3)
    with pytest.raises(TrainingInputError, match="a batch has ids from 1 to 20") as caught:
        words.run({"ids": ids + 1})
    assert caught.value.reason == "sample_out_of_range"


def test_batchnorm_behind_a_linear_layer_is_not_taught_one_sample_at_a_time(tmp_path: Path) -> None:
    layers = [torch.nn.Flatten(), torch.nn.Linear(64, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)]
    model = TrainableModel(module=torch.nn.Sequential(*layers).eval(), input_names=("image",), output_names=("logits",))
    with pytest.raises(TrainingInputError, match="write batch_size = 2 or more") as caught:
        trainer(model, Checkpoints(tmp_path), settings=settings(batch_size=1)).run()
    assert caught.value.reason == "batch_of_one"
