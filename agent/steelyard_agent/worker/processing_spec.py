"""What a task does to a sample before the model and to the outputs behind it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod

LAYOUTS = ("", "NCHW", "NHWC")
# Stored samples that are plain numbers, by numpy's names.
STORED_DTYPES = (
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64"),
)
_MOST_VALUES = 1 << 26
_MOST_RANK = 16
_IMAGE_RANKS = (2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """``(x / divide - mean) / std`` in float32, then the layout; behind the model the block's reducer.

    ``stored_dtype`` and ``stored_shape`` are those of one stored sample: with a layout an image HW or HWC. ``mean`` and
    ``std`` have one value or one a channel. ``stored_dtype`` "" leaves preprocessing out, ``reduces`` False what comes
    behind the model.
    """

    stored_dtype: str = ""
    stored_shape: tuple[int, ...] = ()
    divide: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = ""
    reduces: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        if self.stored_dtype and self.stored_dtype not in STORED_DTYPES:
            raise ValueError(f"stored_dtype {self.stored_dtype!r} is none of {', '.join(STORED_DTYPES)}")
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout {self.layout!r} is none of NCHW, NHWC")
        # The rank first: the product of a hostile plan's million sizes would take minutes.
        if len(self.stored_shape) > _MOST_RANK:
            raise ValueError(f"stored_shape has {len(self.stored_shape)} sizes, more than {_MOST_RANK}")
        if any(size < 1 for size in self.stored_shape) or prod(self.stored_shape) > _MOST_VALUES:
            raise ValueError(f"stored_shape {self.stored_shape} is no shape of a sample")
        if self.layout and len(self.stored_shape) not in _IMAGE_RANKS:
            raise ValueError(
                f"layout {self.layout} needs a stored image HW or HWC, and a sample is {self.stored_shape}"
            )
        if not (self.mean and self.std) or not all(map(isfinite, (self.divide, *self.mean, *self.std))):
            raise ValueError("divide, mean and std need one finite number, mean and std also one a channel")
        if 0.0 in (self.divide, *self.std):
            raise ValueError("divide and std must not be 0")
        is_grey = bool(self.layout) and len(self.stored_shape) == _IMAGE_RANKS[0]
        channels = 1 if is_grey or not self.stored_shape else self.stored_shape[-1]
        for name in ("mean", "std"):
            if self.stored_dtype and len(getattr(self, name)) not in {1, channels}:
                raise ValueError(f"{name} has {len(getattr(self, name))} values and a sample {channels} channels")
