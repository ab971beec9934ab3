"""Which weights become zero: the smallest, everywhere, N of M, or in blocks. Pure.

Weights have their outputs on the first axis and their inputs on the last one (TFLite's [outputs, height, width,
inputs] and [outputs, inputs]). Of equal magnitudes those that stand first go first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


def without_smallest(weights: Sequence[Weights], share: float) -> list[Weights]:
    """Return arrays of which together ``share`` (rounded to one weight) is zero: those of the smallest magnitude."""
    sizes = [one.size for one in weights]
    together = np.concatenate([one.reshape(-1) for one in weights])
    order = np.argsort(np.abs(together), kind="stable")
    kept = np.ones(together.size, bool)
    kept[order[: round(share * together.size)]] = False
    parts = np.split(np.where(kept, together, np.float32(0)), np.cumsum(sizes)[:-1])
    return [part.reshape(one.shape) for part, one in zip(parts, weights, strict=True)]


def n_of_m(weights: Weights, n: int, m: int) -> Weights:
    """Return the weights with the ``n`` largest of each ``m`` along the inputs; a shorter group at the end stays."""
    rows = weights.reshape(-1, weights.shape[-1]).copy()
    whole = rows.shape[1] // m * m
    groups = rows[:, :whole].reshape(-1, m)
    smallest = np.argsort(np.abs(groups), axis=1, kind="stable")[:, : m - n]
    np.put_along_axis(groups, smallest, np.float32(0), axis=1)
    rows[:, :whole] = groups.reshape(len(rows), whole)
    return rows.reshape(weights.shape)


def without_smallest_blocks(weights: Sequence[Weights], share: float, block: tuple[int, int]) -> list[Weights]:
    """Return arrays of whose blocks together ``share`` is zero: those of the smallest mean square.

    A block has ``block[0]`` outputs and ``block[1]`` inputs at one place of the kernel; at the edges it is smaller.
    """
    energies = [_block_energies(one, block) for one in weights]
    order = np.argsort(np.concatenate([one.reshape(-1) for one in energies]), kind="stable")
    kept = np.ones(len(order), bool)
    kept[order[: round(share * len(order))]] = False
    masks = np.split(kept, np.cumsum([one.size for one in energies])[:-1])
    return [
        np.where(_spread(mask.reshape(energy.shape), one.shape, block), one, np.float32(0))
        for mask, energy, one in zip(masks, energies, weights, strict=True)
    ]


def _block_energies(weights: Weights, block: tuple[int, int]) -> NDArray[np.float64]:
    """Return the mean square of each block: [blocks of outputs, places, blocks of inputs]."""
    rows, columns = block
    squares = weights.reshape(weights.shape[0], -1, weights.shape[-1]).astype(np.float64) ** 2
    sums = np.add.reduceat(squares, range(0, squares.shape[0], rows), axis=0)
    sums = np.add.reduceat(sums, range(0, squares.shape[2], columns), axis=2)
    heights = np.diff([*range(0, squares.shape[0], rows), squares.shape[0]])
    widths = np.diff([*range(0, squares.shape[2], columns), squares.shape[2]])
    means: NDArray[np.float64] = sums / (heights[:, None, None] * widths)
    return means


def _spread(mask: NDArray[np.bool_], shape: tuple[int, ...], block: tuple[int, int]) -> NDArray[np.bool_]:
    # A block may be larger than all there is.
    wide = np.repeat(np.repeat(mask, min(block[0], shape[0]), axis=0), min(block[1], shape[-1]), axis=2)
    return wide[: shape[0], :, : shape[-1]].reshape(shape)
