"""How far the outputs of one model on two machines lie apart, and whether kernels' rounding explains it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Rounding(Enum):
    """What a model computes in, as far as its file and its provider tell: how coarsely its kernels may round."""

    FLOAT32 = "float32"
    HALF = "half"
    QUANTIZED = "quantized"


# Largest error of a float output that rounding explains, as a share of the range of the reference's values.
_LARGEST_SHARE = {
    # Another order of the same sums. Seen: 3.5e-7 at most between AVX-512 and Arm kernels (docs/emulation.md), 1.9e-7
    # between all graph optimizations and none; a wrong kernel or weight is orders above.
    Rounding.FLOAT32: 1e-5,
    # 8 to 11 bits of mantissa in places where the other machine has 24. Seen on two small networks: bfloat16 0.4 % of
    # the range beside float32, float16 0.04 %.
    Rounding.HALF: 1e-2,
    # A value on the edge between two steps falls to either side, and later layers carry that on. Seen: 1e-4 at most
    # between x86 with VNNI and Arm, where ranges are found while it runs. 8-bit weights that saturate (x86 without
    # VNNI) come out far above.
    Rounding.QUANTIZED: 1e-2,
}
# Of a quantized output, in steps of its scale, for the same reason; seen: none.
_LARGEST_STEPS = 1.0
_STEPPED = frozenset({"int8", "uint8", "int16", "uint16"})
_LEAST_RANK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What two arrays have in common.

    ``cosine`` and ``sqnr_db`` are None where they have no value: an array of zeros, no noise at all. ``range_share`` is
    the largest error over the range of the reference, None for one of zeros. ``beyond`` is the largest error over what
    rounding explains: above 1 it is not explained.
    """

    max_absolute_error: float
    cosine: float | None
    sqnr_db: float | None
    range_share: float | None
    beyond: float

    @property
    def explained(self) -> bool:
        """Whether rounding explains the difference."""
        return self.beyond <= 1.0


def compare_arrays(reference: NDArray[Any], other: NDArray[Any], rounding: Rounding) -> Agreement:
    """Return how ``other`` differs from ``reference``; both of one shape and type, and finite.

    The range is that of the reference over the whole array, or its largest value where all are alike.

    Raises:
        ValueError: another shape or type, or nothing to compare.
    """
    if reference.shape != other.shape or reference.dtype != other.dtype or reference.size == 0:
        raise ValueError(
            f"{other.dtype} {list(other.shape)} cannot be compared with {reference.dtype} {list(reference.shape)}"
        )
    want, got = reference.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    noise = got - want
    largest = float(np.abs(noise).max())
    spread = float(want.max() - want.min()) or float(np.abs(want).max())
    share = largest / spread if spread else None
    return Agreement(
        max_absolute_error=largest,
        cosine=_cosine(want, got),
        sqnr_db=_sqnr_db(want, noise),
        range_share=share,
        beyond=_beyond(reference.dtype, largest, share, rounding),
    )


def odd_count(array: NDArray[Any]) -> int:
    """Return how many values are NaN or infinite."""
    return 0 if array.dtype.kind != "f" else array.size - int(np.count_nonzero(np.isfinite(array)))


def argmax_agreement(reference: NDArray[Any], other: NDArray[Any]) -> tuple[int, int] | None:
    """Return in how many samples, along the first axis, the greatest value is the same one, and how many there are.

    None where a sample has one value only: there is nothing to be the greatest.
    """
    if reference.ndim < _LEAST_RANK or reference.shape != other.shape or reference[0].size < _LEAST_RANK:
        return None
    rows = [array.reshape(len(array), -1).argmax(axis=1) for array in (reference, other)]
    return int(np.count_nonzero(rows[0] == rows[1])), len(reference)


def _beyond(dtype: np.dtype[Any], largest: float, share: float | None, rounding: Rounding) -> float:
    if largest == 0.0:
        return 0.0
    if dtype.kind == "f":
        # Against zeros alone every difference is one.
        return float("inf") if share is None else share / _LARGEST_SHARE[rounding]
    # Of whole numbers that no scale belongs to (classes, counts, truth) each is right or wrong.
    return largest / _LARGEST_STEPS if dtype.name in _STEPPED else float("inf")


def _cosine(want: NDArray[np.float64], got: NDArray[np.float64]) -> float | None:
    # Scaled first: squares of large floats leave the range.
    scales = [float(np.abs(array).max()) for array in (want, got)]
    if not all(scales):
        return None
    left, right = want / scales[0], got / scales[1]
    cosine = float(left @ right) / (float(np.linalg.norm(left)) * float(np.linalg.norm(right)))
    return min(1.0, max(-1.0, cosine))


def _sqnr_db(want: NDArray[np.float64], noise: NDArray[np.float64]) -> float | None:
    scale = float(np.abs(want).max())
    if not scale or not noise.any():
        return None
    return 10.0 * float(np.log10(np.square(want / scale).sum() / np.square(noise / scale).sum()))
