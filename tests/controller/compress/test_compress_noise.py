"""Noise of outputs: exact for planted errors, each output by itself, and never silent about what cannot be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steelyard.compress import noise as noise_module
from steelyard.compress.noise import Noise, Reference
from tests.controller.compress.repair_models import calibration


def ratio_db(expected: list[Any], given: list[Any]) -> float:
    noise = Noise()
    noise.add([np.asarray(one) for one in expected], [np.asarray(one) for one in given])
    return noise.sqnr_db()


def test_a_planted_error_of_a_tenth_is_20_db() -> None:
    exact = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert ratio_db([exact], [exact * np.float32(1.1)]) == pytest.approx(20.0, abs=1e-3)


def test_a_large_output_does_not_hide_the_error_of_a_small_one() -> None:
    boxes, scores = np.full(100, 600.0, np.float32), np.full(100, 0.5, np.float32)
    assert ratio_db([boxes, scores], [boxes, scores * 2]) == pytest.approx(10 * np.log10(2), abs=1e-3)


def test_equal_outputs_are_200_db_and_outputs_that_are_no_numbers_the_least() -> None:
    exact = np.ones(4, np.float32)
    assert ratio_db([exact], [exact]) == pytest.approx(200.0)
    assert ratio_db([exact], [np.array([1, 1, np.nan, 1], np.float32)]) == pytest.approx(-200.0)


def test_integers_count_by_how_many_differ() -> None:
    assert ratio_db([np.arange(10)], [np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 0])]) == pytest.approx(10.0)


def test_an_output_of_another_shape_is_all_error() -> None:
    assert ratio_db([np.ones((3, 4), np.float32)], [np.ones((2, 4), np.float32)]) == pytest.approx(0.0)
    assert ratio_db([np.ones(3, np.int64)], [np.ones(2, np.int64)]) == pytest.approx(0.0)


def test_an_output_of_zeros_that_is_no_longer_one_counts_as_lost() -> None:
    zeros = np.zeros(4, np.float32)
    assert ratio_db([zeros], [zeros]) == pytest.approx(200.0)
    assert ratio_db([zeros], [zeros + 1]) == pytest.approx(0.0)


class _Scaled:
    """A model that gives its input, scaled, and counts how often it is run."""

    batch_size = 2

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.count = 0

    def run(self, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        self.count += 1
        return [next(iter(feed.values())) * np.float32(self.factor)]


@pytest.mark.parametrize(("most_bytes", "runs"), [(1 << 20, 4), (100, 8)])
def test_small_outputs_of_the_reference_are_computed_once_and_large_ones_anew(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int, runs: int
) -> None:
    monkeypatch.setattr(noise_module, "_MOST_KEPT_BYTES", most_bytes)
    exact = _Scaled(1.0)
    reference = Reference(exact, calibration(32), 8)
    assert reference.sqnr_db(_Scaled(1.1)) == pytest.approx(20.0, abs=1e-3)
    assert reference.sqnr_db(_Scaled(1.01)) == pytest.approx(40.0, abs=1e-2)
    assert exact.count == runs
