"""Copies of arrays, and whether they are still what they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def copied(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays, copied."""
    return {name: array.copy() for name, array in arrays.items()}


def assert_same(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]], what: str) -> None:
    """Refuse arrays that differ; NaN is like NaN."""
    assert list(before) == list(after), f"{what}: {list(before)} became {list(after)}"
    for name, array in before.items():
        other = after[name]
        assert array.dtype == other.dtype, f"{what}: {name!r} is {array.dtype} and {other.dtype}"
        same = np.array_equal(array, other, equal_nan=array.dtype.kind in "fc")
        assert same, f"{what}: {name!r} holds other values"
