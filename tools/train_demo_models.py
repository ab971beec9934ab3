"""Train the demo's two classifiers on Fashion-MNIST and export them to ONNX.

  fashion_resnet      residual blocks of 3x3 convolutions
  fashion_mobilenet   inverted residuals with depthwise convolutions

Install what it needs into an environment of its own (nothing of it is needed to run the product):

  pip install -r tools/requirements-training.txt
  python tools/train_demo_models.py --output controller/steelyard/demo/assets

The full training of both takes about 35 minutes on one x86 thread with AVX-512; `--epochs 1` gives a rough pair in
about three. The same seed, thread count, torch build and processor give the same weights; another processor may not.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from demo_export import check_parity, export_onnx, onnx_logits, set_metadata
from demo_networks import NETWORKS, multiply_accumulates, parameter_count
from fashion_mnist import DEFAULT_FOLDER, PIXEL_MEAN, PIXEL_STD, LabelledImages, load_split, normalise
from torch import nn
from write_demo_data import DEFAULT_OUTPUT, DEFAULT_SEED, evaluation_images

SCRIPT_NAME = "tools/train_demo_models.py"
CROP_PADDING = 2
PARITY_IMAGES = 256
EVALUATION_BATCH_SIZE = 250

_log = logging.getLogger(SCRIPT_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained: SGD with Nesterov momentum on a one-cycle schedule."""

    epochs: int
    batch_size: int
    peak_learning_rate: float
    weight_decay: float
    label_smoothing: float
    is_bfloat16: bool

    def __post_init__(self) -> None:
        """Refuse a recipe that would train nothing."""
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"{self.epochs} epochs of batches of {self.batch_size}: at least 1 and 2 are needed.")


# Seconds per epoch on one AVX-512 thread, channels last, float32 -> bfloat16: the residual network 118 -> 82; a smaller
# version of the depthwise network 75 -> 121, as it is bound by memory, not by arithmetic.
RECIPES = {
    "fashion_resnet": Recipe(
        epochs=11,
        batch_size=128,
        peak_learning_rate=0.12,
        weight_decay=5e-4,
        label_smoothing=0.05,
        is_bfloat16=True,
    ),
    "fashion_mobilenet": Recipe(
        epochs=12,
        batch_size=64,
        peak_learning_rate=0.08,
        weight_decay=2e-4,
        label_smoothing=0.05,
        is_bfloat16=False,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """What a network is trained on, and the two sets that its accuracy is told for."""

    train: LabelledImages
    test: LabelledImages
    shipped: LabelledImages


class AugmentedBatches:
    """Shuffled batches of normalised images, each cropped at random out of its padded self, half of them flipped."""

    def __init__(self, source: LabelledImages, batch_size: int, seed: int) -> None:
        """Pad the source once; every iteration over the object is one epoch in an order of its own."""
        border = ((0, 0), (CROP_PADDING, CROP_PADDING), (CROP_PADDING, CROP_PADDING))
        self._padded = torch.from_numpy(normalise(np.pad(source.images, border)))[:, 0]
        self._labels = torch.from_numpy(source.labels.astype(np.int64))
        self._batch_size = batch_size
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of whole batches in an epoch."""
        return len(self._labels) // self._batch_size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images float32 [B,1,28,28], channels last, with labels int64 [B]; a last partial batch is dropped."""
        order = torch.randperm(len(self._labels), generator=self._generator)
        for start in range(0, len(self) * self._batch_size, self._batch_size):
            chosen = order[start : start + self._batch_size]
            yield self._augmented(chosen), self._labels[chosen]

    def _augmented(self, chosen: torch.Tensor) -> torch.Tensor:
        def draw(bound: int) -> torch.Tensor:
            return torch.randint(0, bound, (len(chosen), 1), generator=self._generator)

        window = torch.arange(28)
        rows = draw(2 * CROP_PADDING + 1) + window
        columns = draw(2 * CROP_PADDING + 1) + torch.where(draw(2) == 1, window.flip(0), window)
        images = self._padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        return images[:, None].contiguous(memory_format=torch.channels_last)


def train(model: nn.Module, recipe: Recipe, batches: AugmentedBatches) -> None:
    """Train `model` in place."""
    nn.utils.convert_conv2d_weight_memory_format(model, torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=recipe.peak_learning_rate,
        total_steps=recipe.epochs * len(batches),
        pct_start=0.2,
        cycle_momentum=False,
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    for epoch in range(1, recipe.epochs + 1):
        started_s = time.perf_counter()
        loss_sum = 0.0
        for images, labels in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.is_bfloat16):
                loss = criterion(model.train()(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item()
        duration_s = time.perf_counter() - started_s
        _log.info("epoch %d/%d  loss %.4f  %.0f s", epoch, recipe.epochs, loss_sum / len(batches), duration_s)


def accuracy(path: Path, labelled: LabelledImages) -> float:
    """Return the share of images that the exported file classifies rightly."""
    logits = onnx_logits(path, normalise(labelled.images), batch_size=EVALUATION_BATCH_SIZE)
    return float((logits.argmax(axis=1) == labelled.labels).mean())


def train_and_export(name: str, recipe: Recipe, splits: Splits, output: Path, seed: int) -> None:
    """Train the network `name` and write `name`.onnx into the folder `output`; the same weights give the same bytes."""
    torch.manual_seed(seed)
    model = NETWORKS[name]()
    _log.info("%s: %d parameters, %.1f MMAC", name, parameter_count(model), multiply_accumulates(model) / 1e6)
    started_s = time.perf_counter()
    train(model, recipe, AugmentedBatches(splits.train, recipe.batch_size, seed))
    duration_s = time.perf_counter() - started_s
    path = output / f"{name}.onnx"
    output.mkdir(parents=True, exist_ok=True)
    export_onnx(model, path)
    difference = check_parity(model, path, normalise(splits.test.images[:PARITY_IMAGES]))
    metadata = {
        "author": SCRIPT_NAME,
        "licence": "Apache-2.0",
        "training_data": "Fashion-MNIST, Copyright 2017 Zalando SE, MIT",
        "training_seed": str(seed),
        "training_epochs": str(recipe.epochs),
        "parameter_count": str(parameter_count(model)),
        "multiply_accumulates": str(multiply_accumulates(model)),
        "normalisation": f"(pixel / 255 - {PIXEL_MEAN:.4f}) / {PIXEL_STD:.4f}",
        "test_accuracy": f"{accuracy(path, splits.test):.4f}",
        "shipped_accuracy": f"{accuracy(path, splits.shipped):.4f}",
    }
    set_metadata(path, metadata)
    _log.info("%s: %s, trained in %.0f s, differs from torch by %.1e", path, metadata, duration_s, difference)


def main() -> None:
    """Run the command line."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    _log.setLevel(logging.INFO)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # four notes about torchvision, which nothing here needs
    torch.set_num_threads(arguments.threads)
    splits = Splits(
        train=load_split(arguments.data, "train"),
        test=load_split(arguments.data, "t10k"),
        shipped=evaluation_images(arguments.data, arguments.data_seed),
    )
    for name in arguments.models:
        recipe = RECIPES[name]
        if arguments.epochs is not None:
            recipe = replace(recipe, epochs=arguments.epochs)
        train_and_export(name, recipe, splits, arguments.output, arguments.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder with the IDX gz files (%(default)s)")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="folder for the .onnx files")
    parser.add_argument("--models", nargs="+", choices=sorted(RECIPES), default=sorted(RECIPES), help="which to train")
    parser.add_argument("--epochs", type=int, help="train for another number of epochs than the recipe's")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights, order and augmentation (%(default)s)")
    parser.add_argument(
        "--data-seed", type=int, default=DEFAULT_SEED, help="seed write_demo_data.py drew with (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    main()
