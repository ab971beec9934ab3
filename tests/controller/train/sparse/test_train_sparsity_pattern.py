"""Masks of a gradual schedule: the share of zeros at each stage, and what stays zero."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.train.sparse.pattern import SparsityPattern


def weights() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((8, 3, 3, 16)).astype(np.float32), rng.standard_normal((10, 32)).astype(np.float32)]


def share(masks: list[np.ndarray]) -> float:
    return 1 - sum(int(one.sum()) for one in masks) / sum(one.size for one in masks)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.7, 1.0])
def test_the_share_of_zeros_grows_with_the_cube(progress: float) -> None:
    masks = SparsityPattern(sparsity=0.8).masks(weights(), progress)
    assert share(masks) == pytest.approx(0.8 * (1 - (1 - progress) ** 3), abs=1e-3)


def test_what_became_zero_stays_zero() -> None:
    pattern, values = SparsityPattern(sparsity=0.8, scope="layer"), weights()
    before = [np.ones(one.shape, bool) for one in values]
    for progress in (0.2, 0.5, 1.0):
        masks = pattern.masks(values, progress)
        assert all((mask <= earlier).all() for mask, earlier in zip(masks, before, strict=True))
        values, before = [one * mask for one, mask in zip(values, masks, strict=True)], masks
    assert all(share([mask]) == pytest.approx(0.8, abs=0.005) for mask in before)


def test_n_of_m_goes_one_weight_of_each_group_at_a_time() -> None:
    pattern = SparsityPattern(sparsity=0.5, pattern="2:4")
    kept = [int(pattern.masks(weights(), progress)[0].reshape(-1, 4).sum(axis=1).max()) for progress in (0.0, 0.3, 1.0)]
    assert kept == [4, 3, 2]
    assert pattern.final_sparsity == 0.5


def test_blocks_go_as_a_whole() -> None:
    (mask,) = SparsityPattern(sparsity=0.5, pattern="block", block=(2, 4)).masks(weights()[1:], 1.0)
    blocks = mask.reshape(5, 2, 8, 4).sum(axis=(1, 3))
    assert set(np.unique(blocks)) == {0, 8}
