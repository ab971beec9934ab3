"""The settings of a training, which every step that trains has as keys of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from steelyard.compress.errors import RecipeError
from steelyard.compress.settings import AUTO, require_choice, require_count, require_number

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "step", "constant")
LOSSES = (AUTO, "cross-entropy", "mse", "bce")
PRECISIONS = (AUTO, "float32", "bfloat16", "float16")
DEVICES = (AUTO, "cpu", "cuda")
KEPT = ("best", "last")

# What augmentations are called, with the number that may follow ("crop4").
AUGMENTATIONS = ("crop", "flip", "cutout", "mixup", "noise")
# Beyond it no picture has pixels, and float32 loses what noise is added to.
_MOST_AUGMENTED = 10_000
_AUGMENTATION = re.compile(rf"({'|'.join(AUGMENTATIONS)})([0-9]+(?:\.[0-9]+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How to train; steps inherit it.

    ``epochs`` passes over the samples in batches of ``batch_size``; ``max_minutes`` ends it earlier, and so does
    ``patience`` epochs without a better validation score (0: neither). ``optimizer`` is AdamW (Loshchilov and Hutter
    2019) or SGD with Nesterov ``momentum``; ``learning_rate`` 0 takes one by the optimizer and the model. It rises
    over the share ``warmup`` of all updates, then follows ``schedule`` ("step": a tenth from the half on, a hundredth
    from three quarters). ``clip_norm`` bounds the norm of gradients, 0 does not.

    ``loss`` "auto" goes by the task's metric. ``augment`` are "crop", "flip", "cutout", "mixup", "noise", each perhaps
    with a number ("crop4": by 4 pixels), or "auto": a crop for pictures. ``precision`` "auto" is mixed on a GPU.
    ``sample_count`` samples are drawn to learn from, 0 takes all; ``holdout`` is the share of them that epochs are
    compared by where the task has no validation split, and ``keep_epoch`` says which epoch stays. At the end the
    statistics of BatchNorm are taken anew over ``batchnorm_batches`` batches (0: they stay).
    """

    kind: ClassVar[str] = "training"
    # Steps that also change a model by themselves may leave out the training.
    least_epochs: ClassVar[int] = 1

    epochs: int = 10
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    warmup: float = 0.05
    clip_norm: float = 1.0
    loss: str = AUTO
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = (AUTO,)
    precision: str = AUTO
    device: str = AUTO
    patience: int = 0
    max_minutes: float = 0.0
    sample_count: int = 0
    holdout: float = 0.1
    keep_epoch: str = "best"
    batchnorm_batches: int = 0

    def __post_init__(self) -> None:
        """Refuse values of another type, out of their bounds, or that nobody knows."""
        require_count(self.kind, "epochs", self.epochs, least=self.least_epochs)
        require_count(self.kind, "batch_size", self.batch_size)
        for key in ("patience", "sample_count", "batchnorm_batches"):
            require_count(self.kind, key, getattr(self, key), least=0)
        bounds = {"learning_rate": 10.0, "momentum": 0.999, "weight_decay": 1.0, "clip_norm": 1e6, "max_minutes": 1e6}
        for key, most in {**bounds, "warmup": 1.0, "label_smoothing": 0.9, "holdout": 0.9}.items():
            require_number(self.kind, key, getattr(self, key), least=0, most=most)
        require_choice(self.kind, "optimizer", self.optimizer, OPTIMIZERS)
        require_choice(self.kind, "schedule", self.schedule, SCHEDULES)
        require_choice(self.kind, "loss", self.loss, LOSSES)
        require_choice(self.kind, "precision", self.precision, PRECISIONS)
        require_choice(self.kind, "device", self.device, DEVICES)
        require_choice(self.kind, "keep_epoch", self.keep_epoch, KEPT)
        self._check_augmentations()

    def _check_augmentations(self) -> None:
        known = f"{', '.join(AUGMENTATIONS)}, or auto"
        if not isinstance(self.augment, tuple) or not all(isinstance(one, str) for one in self.augment):
            raise RecipeError("invalid_setting", f"{self.kind}: augment is {self.augment!r}; write a list of {known}")
        if AUTO in self.augment and len(self.augment) > 1:
            raise RecipeError(
                "impossible_setting",
                f"{self.kind}: augment has auto among {', '.join(self.augment)}; auto stands alone",
            )
        for one in self.augment:
            if one != AUTO and not _AUGMENTATION.fullmatch(one):
                raise RecipeError(
                    "invalid_setting",
                    f"{self.kind}: augment has {one!r}; write some of {known}, with a number behind it (crop4)",
                )
            if one != AUTO and (augmentation_parts(one)[1] or 0) > _MOST_AUGMENTED:
                raise RecipeError(
                    "invalid_setting",
                    f"{self.kind}: augment has {one!r}; write a number up to {_MOST_AUGMENTED:,} behind it",
                )


def augmentation_parts(text: str) -> tuple[str, float | None]:
    """Return the kind of an augmentation and the number behind it, None without one ("crop4" -> "crop", 4.0).

    Raises:
        ValueError: ``text`` is none.
    """
    found = _AUGMENTATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no augmentation")
    return found[1], None if found[2] is None else float(found[2])
