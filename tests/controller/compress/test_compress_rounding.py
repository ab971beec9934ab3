"""The rounding of one layer: descended, learnt, and of each output what errs least."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from steelyard.compress.qdq.descent import descend
from steelyard.compress.qdq.rounding import _turns, best_rounding, learn_rounding
from tests.controller.compress.rounding_problems import HELD_OUT, ROW_COUNT, TRAIN_COUNT, problem

_LAYERS = [(1, 32, 8, -np.inf), (1, 32, 8, 0.0), (6, 16, 2, 0.0), (1, 96, 1, -np.inf)]


@pytest.mark.parametrize(("groups", "products", "count", "low"), _LAYERS)
def test_correlated_inputs_let_errors_of_rounding_cancel(groups: int, products: int, count: int, low: float) -> None:
    layer = problem(groups, products, count, low=low, rank=8)
    learnt, share = best_rounding(layer, layer.nearest(), iterations=150, seed=1)
    assert share == pytest.approx(layer.error(learnt, HELD_OUT) / layer.error(layer.nearest(), HELD_OUT))
    assert share < 0.3
    assert np.abs(learnt - layer.nearest()).max() == 1
    assert np.abs(learnt - layer.steps).max() <= 1
    assert learnt.min() >= -7
    assert learnt.max() <= 7


@pytest.mark.parametrize("products", [24, 100])
def test_no_single_weight_lowers_the_error_behind_a_descent(products: int) -> None:
    layer = problem(1, products, 3, rank=6)
    found = descend(layer)
    errors = layer.column_errors(found, slice(None))
    assert errors.sum() < 0.5 * layer.column_errors(layer.nearest(), slice(None)).sum()
    rng = np.random.default_rng(0)
    for at in rng.permutation(products)[:20]:
        other = found.copy()
        floor, ceiling = np.floor(layer.steps[:, at]), np.ceil(layer.steps[:, at])
        other[:, at] = np.clip(floor + ceiling - found[:, at], -7, 7)
        # Damping, a hundredth, may keep what lowers the error by less.
        assert (layer.column_errors(other, slice(None)) > 0.95 * errors).all()


def test_a_layer_with_a_large_second_moment_is_rounded_to_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = problem(2, 16, 3, rank=4)
    monkeypatch.setattr("steelyard.compress.qdq.descent._MOST_BYTES", 2 * 16 * 16 * 4 - 1)
    np.testing.assert_array_equal(descend(layer), layer.nearest())


def test_learning_sees_an_activation_that_descending_does_not() -> None:
    layer = problem(1, 32, 8, low=0.0, rank=24)
    # Half of the rows are far below the activation, in the wrong direction for the other half.
    hidden = np.arange(ROW_COUNT) % 2 == 0
    layer.rows[:, hidden] *= 4
    layer.target[:] = np.matmul(layer.rows, layer.weights(layer.steps))
    layer.target[:, hidden] = -100.0
    bias = np.zeros((1, 1, 8), dtype=np.float32)
    hidden_layer = dataclasses.replace(layer, bias=bias, low=0.0)
    train = hidden_layer.first_rows(TRAIN_COUNT)
    start = descend(train)
    learnt = learn_rounding(train, start, iterations=150, seed=0)
    assert hidden_layer.error(learnt, HELD_OUT) < hidden_layer.error(start, HELD_OUT)


def test_an_output_that_nothing_helps_keeps_what_was_stored() -> None:
    layer = problem(1, 16, 4)
    exact = dataclasses.replace(
        layer, steps=np.rint(layer.steps), target=np.matmul(layer.rows, np.rint(layer.steps) * layer.scale)
    )
    chosen, share = best_rounding(exact, exact.nearest(), iterations=50, seed=0)
    np.testing.assert_array_equal(chosen, exact.steps)
    assert share == 1.0


def test_outputs_are_learnt_alike_in_parts_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = problem(1, 16, 6, rank=4, low=0.0)
    start = layer.nearest()
    whole = learn_rounding(layer, start, iterations=40, seed=2)
    monkeypatch.setattr("steelyard.compress.qdq.rounding._WEIGHTS_AT_ONCE", 32)
    parts = learn_rounding(layer, start, iterations=40, seed=2)
    assert np.count_nonzero(parts != whole) <= 0.02 * whole.size  # sums in another order


def test_no_row_comes_again_before_all_that_fit_came() -> None:
    turns = list(_turns(10, 4, 5, seed=0))
    assert [done for done, _ in turns] == [0.0, 0.2, 0.4, 0.6, 0.8]
    for first, second in ((0, 1), (2, 3)):
        rows = np.concatenate([turns[first][1], turns[second][1]])
        assert len(set(rows.tolist())) == 8
    assert [len(rows) for _, rows in _turns(3, 4, 2, seed=0)] == [3, 3]


def test_the_same_seed_learns_the_same() -> None:
    layer = problem(1, 16, 4, rank=4)
    first, _ = best_rounding(layer, layer.nearest(), iterations=50, seed=3)
    np.testing.assert_array_equal(best_rounding(layer, layer.nearest(), iterations=50, seed=3)[0], first)
