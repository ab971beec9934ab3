"""Pack model inputs into small .npz bytes that give back every value bit for bit.

A normalised image has few distinct values: 256 of one channel of uint8 pixels. Its floats are then stored as indexes
into a table, a quarter of the size; anything else is stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.npz import DEFAULT_MAX_BYTES, read_npz, write_npz

VALUES_SUFFIX = ".values"
TABLE_SUFFIX = ".table"
# An array of this name says that each sample is all that one inference takes: values have one axis more than the input.
WHOLE = "whole"
_MAX_BYTE_TABLE = 256
_MAX_TABLE = 65_536
# Distinct values are collected in pieces, so that data with many of them is given up early.
_PIECE_VALUE_COUNT = 1 << 20


def pack(name: str, array: NDArray[Any]) -> bytes:
    """Return .npz bytes of ``array`` [N, ...] under the input name ``name``; the same array gives the same bytes.

    float32 with at most 256 (65,536) distinct bit patterns becomes ``NAME.values`` uint8 (uint16) and ``NAME.table``
    float32, where the input is ``table[values]``; everything else becomes ``NAME.values`` as it is.

    Raises:
        TaskError: an array of objects or strings.
    """
    return pack_all({name: array})


def pack_all(inputs: Mapping[str, NDArray[Any]], *, are_whole: bool = False) -> bytes:
    """Return .npz bytes of several inputs, each as ``pack`` has it; ``are_whole``: samples are whole inferences.

    Raises:
        TaskError: an array of objects or strings.
    """
    stored: dict[str, NDArray[Any]] = {}
    for name, array in inputs.items():
        table = _table(array) if array.dtype == np.float32 else None
        if table is None:
            stored[name + VALUES_SUFFIX] = array
            continue
        index_dtype = np.uint8 if table.size <= _MAX_BYTE_TABLE else np.uint16
        stored[name + VALUES_SUFFIX] = np.searchsorted(table, _bits(array)).astype(index_dtype).reshape(array.shape)
        stored[name + TABLE_SUFFIX] = table.view(np.float32)
    if are_whole:
        stored[WHOLE] = np.ones(1, dtype=np.uint8)
    return write_npz(stored)


def unpack(content: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Return the arrays of packed bytes by input name.

    Raises:
        TaskError: bytes that ``pack`` did not make.
    """
    arrays = read_npz(content, what="the packed data", max_bytes=max_bytes)
    names = [key.removesuffix(VALUES_SUFFIX) for key in arrays if key.endswith(VALUES_SUFFIX)]
    return {name: expand(arrays[name + VALUES_SUFFIX], arrays.get(name + TABLE_SUFFIX)) for name in names}


def expand(values: NDArray[Any], table: NDArray[Any] | None) -> NDArray[Any]:
    """Return ``table[values]``, or ``values`` when there is no table."""
    return values if table is None else np.asarray(table[values])


def _bits(array: NDArray[Any]) -> NDArray[np.uint32]:
    # Bit patterns, since 0.0 equals -0.0 and NaN equals nothing.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint32)


def _table(array: NDArray[Any]) -> NDArray[np.uint32] | None:
    """Return the sorted distinct bit patterns, or None when there are too many or none."""
    bits = _bits(array)
    table = np.empty(0, dtype=np.uint32)
    for start in range(0, bits.size, _PIECE_VALUE_COUNT):
        table = np.union1d(table, bits[start : start + _PIECE_VALUE_COUNT])
        if table.size > _MAX_TABLE:
            return None
    return table if table.size else None
