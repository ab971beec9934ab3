"""Small data sets and networks that learn in a blink."""

from __future__ import annotations

import re

import numpy as np
import pytest

from steelyard.compress.calibration import read_calibration
from steelyard.compress.contract import Progress
from steelyard.compress.evaluation import EvaluationSet
from steelyard.tasks.metrics.accuracy import Top1
from steelyard.tasks.metrics.contract import Metric
from steelyard.tasks.packing import pack_all
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.losses import LabelLoss
from steelyard.train.loop.settings import TrainingSettings
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.loop.trainer import Trainer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def samples(count: int = 240, *, seed: int = 0, metric: Metric | None = None, labelled: bool = True) -> EvaluationSet:
    """Return pictures [1, 8, 8] of two classes: a bright square in the left or in the right half, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    pictures = 0.3 * rng.standard_normal((count, 1, 8, 8))
    for row, label in enumerate(labels):
        pictures[row, 0, 2:6, 4 * label : 4 * label + 3] += 1
    return _set(pictures, labels if labelled else None, metric or Top1())


def stripes(count: int = 240, *, seed: int = 0, labelled: bool = True) -> EvaluationSet:
    """Return pictures [1, 8, 8] of two classes, stripes that lie or stand, with noise: for networks that pool."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    pictures = 0.3 * rng.standard_normal((count, 1, 8, 8))
    for row, label in enumerate(labels):
        bright = (np.arange(8) // 2 + rng.integers(0, 2)) % 2
        pictures[row, 0] += bright[:, None] if label else bright
    return _set(pictures, labels if labelled else None, Top1())


def _set(pictures: np.ndarray, labels: np.ndarray | None, metric: Metric) -> EvaluationSet:
    data = read_calibration(pack_all({"image": pictures.astype(np.float32)}))
    truth = {} if labels is None else {"labels": labels.astype(np.int64)}
    return EvaluationSet(split="training", metric=metric, data=data, truth=truth)


def network(seed: int = 0, *, normalized: bool = False) -> TrainableModel:
    """Return a convolution, perhaps with BatchNorm, and a linear layer."""
    torch.manual_seed(seed)
    norm = [torch.nn.BatchNorm2d(6)] if normalized else []
    layers = [torch.nn.Conv2d(1, 6, 3, padding=1), *norm, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(384, 2)]
    return TrainableModel(module=torch.nn.Sequential(*layers).eval(), input_names=("image",), output_names=("logits",))


def settings(**changes: object) -> TrainingSettings:
    """Return settings for a few seconds at most."""
    return TrainingSettings(**{"epochs": 3, "batch_size": 40, "augment": (), **changes})


def trainer(model: TrainableModel, checkpoints: Checkpoints, **changes: object) -> Trainer:
    """Return a training of the two classes."""
    parts = {
        "training": TrainingData.of(samples()),
        "validation": TrainingData.of(samples(120, seed=1)),
        "objective": LabelLoss(name="cross-entropy", output="logits"),
        "settings": settings(),
        "progress": lambda message, done, total: None,
        **changes,
    }
    return Trainer(model, checkpoints=checkpoints, **parts)


def weights(model: TrainableModel) -> list[np.ndarray]:
    """Return copies of all parameters and buffers."""
    return [one.detach().numpy().copy() for one in model.module.state_dict().values()]


def is_update(message: str, done: int, total: int, *, epoch: int, of: int, update: int) -> bool:
    """Return whether a progress is that of one update of an epoch, both counted from 1."""
    each = total // of
    is_training = re.search(rf"epoch {epoch} of {of}(?!:)", message) is not None
    return is_training and done == (epoch - 1) * each + min(update, each)


class Interrupted(Exception):
    """Ends a training in the middle."""


def interrupt_in(epoch: int, *, of: int, update: int) -> Progress:
    """Return a progress that ends a training in one update of an epoch, both counted from 1."""

    def progress(message: str, done: int, total: int) -> None:
        if is_update(message, done, total, epoch=epoch, of=of, update=update):
            raise Interrupted

    return progress
