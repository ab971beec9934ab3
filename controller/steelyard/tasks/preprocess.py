"""The declarative preprocessing of a task: scale, normalise, bring into the layout. float32 arithmetic, in order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError

LAYOUTS = ("NCHW", "NHWC")
_FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """``(x / divide - mean) / std`` in float32, then the layout.

    ``mean`` and ``std`` have one value or one a channel. Stored images are NHW or NHWC; ``layout`` is what the model
    takes, "" leaves the arrays as they are stored.
    """

    divide: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = ""

    def __post_init__(self) -> None:
        """Refuse divisions by nothing and layouts that nobody knows."""
        if self.layout and self.layout not in LAYOUTS:
            raise TaskError("invalid_task", f"preprocess.layout is {self.layout!r}; it is one of {', '.join(LAYOUTS)}")
        divisors = (self.divide, *self.std)
        if not self.mean or not self.std or not all(math.isfinite(v) for v in (*divisors, *self.mean)):
            raise TaskError(
                "invalid_task", "preprocess.mean and preprocess.std need one finite number or one a channel"
            )
        if 0.0 in divisors:
            raise TaskError(
                "invalid_task", "preprocess.divide and preprocess.std must not be 0; give what to divide by"
            )
        beyond = [value for value in divisors if not float(_FLOAT32.tiny) <= abs(value) <= float(_FLOAT32.max)]
        if beyond:
            raise TaskError(
                "invalid_task", f"preprocess divides by {beyond[0]}, which float32 cannot; give what to divide by"
            )

    def output_shape(self, stored_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one sample after preprocessing; ``stored_shape`` is that of a stored sample."""
        if not self.layout:
            return stored_shape
        height, width, channels = _image_shape(stored_shape)
        return (channels, height, width) if self.layout == "NCHW" else (height, width, channels)

    def apply(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Return ``stored`` [N, ...] as float32 in the model's layout, C-contiguous.

        Raises:
            TaskError: stored data that is no image where a layout is asked for, or whose channels do not fit.
        """
        if self.layout:
            height, width, channels = _image_shape(stored.shape[1:])
            stored = stored.reshape(stored.shape[0], height, width, channels)
        scaled = stored.astype(np.float32) / np.float32(self.divide)
        normal = (scaled - self._per_channel("mean", self.mean, stored)) / self._per_channel("std", self.std, stored)
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2) if self.layout == "NCHW" else normal)

    def _per_channel(self, name: str, values: tuple[float, ...], stored: NDArray[Any]) -> NDArray[np.float32]:
        if len(values) not in {1, stored.shape[-1]}:
            raise TaskError(
                "invalid_task",
                f"preprocess.{name} has {len(values)} values and the data has {stored.shape[-1]} channels; give one "
                "value or one a channel",
            )
        return np.array(values, dtype=np.float32)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) == 2:
        return (shape[0], shape[1], 1)
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2])
    raise TaskError(
        "invalid_task",
        f"preprocess.layout needs stored images NHW or NHWC, and a sample is {list(shape)}; leave the layout "
        "out for other data",
    )
