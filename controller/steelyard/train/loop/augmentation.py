"""Declared changes of samples while a model learns: crops, flips, cut-outs, mixtures, noise. Pure: arrays in and out.

Every draw comes from the generator that is given, so that the same epoch of the same seed sees the same samples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.settings import AUTO
from steelyard.tasks.metrics.contract import LABELS, MASKS
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.settings import augmentation_parts

Arrays = dict[str, NDArray[Any]]
# More channels than a colour with transparency has: then no axis is that of channels.
_MOST_CHANNELS = 4
# Pictures below are thumbnails in which a shift by a pixel is a change of meaning.
_LEAST_CROPPED = 16
# Shares of the longer side, Beta's parameter, a standard deviation.
_DEFAULTS = {"crop": 1 / 8, "cutout": 0.25, "mixup": 0.2, "noise": 0.05}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """Which sample of the batch each one was mixed with, int64 [B], and the share that is left of its own."""

    partners: NDArray[np.int64]
    share: float


class Augmentation:
    """The augmentations of one training, checked against what its samples are.

    ``shapes`` are those of one sample by input name, ``dtypes`` their numpy dtypes. Pictures are samples of three axes,
    one of them of 1 to 4 channels; what is changed is the first input of floats. ``truth`` are the names of the truth
    that samples have: a picture that moves away under its mask, or under numbers that may be places in it, is another
    sample.
    """

    def __init__(
        self,
        wanted: Sequence[str],
        *,
        shapes: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, str],
        truth: Collection[str] = (),
    ) -> None:
        """Choose the input, and what "auto" means for it.

        Raises:
            TrainingInputError: no_augmentation: there is no such input, it is no picture where one is needed, or the
                truth would not move with it.
        """
        self._truth = frozenset(truth)
        floats = [name for name in shapes if dtypes[name].startswith("float")]
        self._name = floats[0] if floats else ""
        shape = shapes.get(self._name, ())
        self._axes = _picture_axes(shape)
        self.kinds = tuple(wanted) if tuple(wanted) != (AUTO,) else self._auto(shape)
        self._steps = [augmentation_parts(one) for one in self.kinds]
        self._refuse_misfits(shapes)

    def apply(self, inputs: Arrays, rng: np.random.Generator) -> tuple[Arrays, Mixture | None]:
        """Return changed copies of the inputs [B, ...], and how samples were mixed."""
        if not self._steps:
            return inputs, None
        samples, mixture = inputs[self._name], None
        for kind, number in self._steps:
            if kind == "mixup":
                samples, mixture = _mixed(samples, number if number is not None else _DEFAULTS[kind], rng)
            elif kind == "noise":
                scale = number if number is not None else _DEFAULTS[kind]
                samples = samples + (scale * rng.standard_normal(samples.shape)).astype(samples.dtype)
            else:
                samples = self._changed_picture(kind, samples, number, rng)
        return {**inputs, self._name: np.ascontiguousarray(samples)}, mixture

    def _changed_picture(
        self, kind: str, samples: NDArray[Any], number: float | None, rng: np.random.Generator
    ) -> NDArray[Any]:
        assert self._axes is not None
        high, wide = self._axes
        pictures = np.moveaxis(samples, (high + 1, wide + 1), (1, 2))
        size = int(_DEFAULTS.get(kind, 0) * max(pictures.shape[1:3]) if number is None else number)
        if kind == "crop":
            pictures = _cropped(pictures, size, rng)
        elif kind == "flip":
            is_flipped = rng.random(len(pictures)) < 0.5
            pictures = np.where(is_flipped.reshape(-1, *[1] * (pictures.ndim - 1)), pictures[:, :, ::-1], pictures)
        else:
            pictures = _cut_out(pictures, size, rng)
        return np.moveaxis(pictures, (1, 2), (high + 1, wide + 1))

    def _auto(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        if self._axes is None or self._truth - {LABELS}:
            return ()
        is_large = min(shape[axis] for axis in self._axes) >= _LEAST_CROPPED
        return ("crop",) if is_large else ()

    def _refuse_misfits(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        for kind, number in self._steps:
            if not self._name:
                raise TrainingInputError(
                    "no_augmentation", f"augment has {kind}, and no input holds floats ({listed}); leave it out"
                )
            if kind in ("crop", "flip", "cutout") and self._axes is None:
                raise TrainingInputError(
                    "no_augmentation",
                    f"augment has {kind}, which is for pictures, and samples are {listed}; leave it out",
                )
            if kind in ("crop", "flip") and MASKS in self._truth:
                raise TrainingInputError(
                    "no_augmentation",
                    f"augment has {kind}, which would move pictures and leave their masks where they are; leave it out",
                )
            if kind == "crop" and number is not None and number >= (side := self._shorter_side(shapes)):
                raise TrainingInputError(
                    "no_augmentation",
                    f"augment has crop{number:g}, which would move pictures of {side} pixels out of sight; write fewer",
                )

    def _shorter_side(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        assert self._axes is not None
        return min(shapes[self._name][axis] for axis in self._axes)


def _picture_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the axes of height and width in a sample, None for one that is no picture."""
    if len(shape) != 3:
        return None
    if shape[0] <= _MOST_CHANNELS and shape[0] <= shape[2]:
        return (1, 2)
    return (0, 1) if shape[2] <= _MOST_CHANNELS else None


def _cropped(pictures: NDArray[Any], pad: int, rng: np.random.Generator) -> NDArray[Any]:
    """Shift pictures [B, H, W, ...] by up to ``pad`` each way; the edge's values fill what comes in."""
    count, height, width = pictures.shape[:3]
    rest = [(0, 0)] * (pictures.ndim - 3)
    padded = np.pad(pictures, [(0, 0), (pad, pad), (pad, pad), *rest], mode="edge")
    offsets = rng.integers(0, 2 * pad + 1, size=(count, 2))
    rows = offsets[:, :1] + np.arange(height)
    columns = offsets[:, 1:] + np.arange(width)
    return np.asarray(padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]])


def _cut_out(pictures: NDArray[Any], size: int, rng: np.random.Generator) -> NDArray[Any]:
    """Fill a square of each picture with its mean (DeVries and Taylor 2017); squares may lie over the edge."""
    count, height, width = pictures.shape[:3]
    middle = rng.random((count, 2)) * (height, width)
    is_row = np.abs(np.arange(height) + 0.5 - middle[:, :1]) * 2 <= size
    is_column = np.abs(np.arange(width) + 0.5 - middle[:, 1:]) * 2 <= size
    hidden = (is_row[:, :, None] & is_column[:, None, :]).reshape(count, height, width, *[1] * (pictures.ndim - 3))
    means = pictures.mean(axis=tuple(range(1, pictures.ndim)), keepdims=True, dtype=np.float64).astype(pictures.dtype)
    return np.where(hidden, means, pictures)


def _mixed(samples: NDArray[Any], alpha: float, rng: np.random.Generator) -> tuple[NDArray[Any], Mixture]:
    """Mix each sample with another (Zhang et al. 2018), one share drawn from Beta(alpha, alpha) for the batch."""
    share = float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0
    partners = rng.permutation(len(samples))
    mixed = share * samples + (1 - share) * samples[partners]
    return mixed.astype(samples.dtype), Mixture(partners=partners, share=share)
