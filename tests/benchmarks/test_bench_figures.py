"""Figures over rounds: the intervals are those of the statistics, and a target is judged by the whole interval."""

from __future__ import annotations

import math

import pytest
from benchmarks.figures import (
    Figure,
    Standing,
    agreement_text,
    binomial_share,
    geometric_mean,
    mean,
    standing,
)
from hypothesis import given
from hypothesis import strategies as st

_RATIOS = st.lists(st.floats(0.1, 10), min_size=3, max_size=60)


def test_a_mean_has_the_t_interval_of_a_textbook() -> None:
    # t(0.975, 4) = 2.776445; sd of 1..5 is sqrt(2.5).
    figure = mean([1, 2, 3, 4, 5])
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert figure.value == 3
    assert (figure.low, figure.high) == (pytest.approx(3 - half, abs=1e-5), pytest.approx(3 + half, abs=1e-5))


def test_below_three_rounds_there_is_a_value_without_an_interval() -> None:
    assert mean([1.0, 2.0]) == Figure(value=1.5)
    assert geometric_mean([1.0, 4.0]) == Figure(value=pytest.approx(2.0))
    assert mean([1.0, 2.0]).text(1, "us") == "1.5 us (too few rounds)"


@given(_RATIOS)
def test_the_inverse_of_ratios_has_the_inverse_interval(ratios: list[float]) -> None:
    there, back = geometric_mean(ratios), geometric_mean([1 / ratio for ratio in ratios])
    assert there.value == pytest.approx(1 / back.value)
    assert there.low is not None
    assert back.high is not None
    assert there.low == pytest.approx(1 / back.high)


def test_ratios_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        geometric_mean([1.0, 0.0, 2.0])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.99, 1.01, Standing.MET),
        (0.98, 1.02, Standing.MET),
        (0.97, 1.01, Standing.UNDECIDED),
        (1.01, 1.03, Standing.UNDECIDED),
        (1.03, 1.05, Standing.MISSED),
        (0.90, 0.97, Standing.MISSED),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, expected: Standing) -> None:
    figure = Figure(value=(low + high) / 2, low=low, high=high)
    assert standing(figure, least=0.98, most=1.02) is expected


def test_a_figure_without_an_interval_decides_nothing() -> None:
    assert standing(Figure(value=1.0), least=0.98, most=1.02) is Standing.UNDECIDED


def test_a_figure_refuses_half_an_interval_and_one_beside_its_value() -> None:
    with pytest.raises(ValueError, match="two ends"):
        Figure(value=1.0, low=0.5)
    with pytest.raises(ValueError, match="not within"):
        Figure(value=3.0, low=1.0, high=2.0)


def test_a_figure_reads_as_value_and_interval() -> None:
    assert Figure(value=1.234, low=1.1, high=1.36).text(2, "us") == "1.23 us (1.10 to 1.36)"


def test_an_agreement_is_met_missed_or_wants_more_rounds() -> None:
    met = agreement_text("net", Figure(value=1.0, low=0.99, high=1.01), 0.02)
    assert met == "net: met. Target: within 2%; measured 1.0000 (0.9900 to 1.0100)."
    assert agreement_text("net", Figure(value=1.1, low=1.05, high=1.15), 0.02).startswith("net: missed. ")
    assert agreement_text("net", Figure(value=1.0), 0.02).startswith("net: undecided; run more rounds. ")


def test_a_share_has_the_exact_interval_of_a_textbook() -> None:
    # Clopper and Pearson's bounds of 8 of 10; those of none and of all of n solve p**n = 0.025.
    figure = binomial_share(8, 10)
    assert (figure.low, figure.high) == (pytest.approx(0.4439, abs=1e-4), pytest.approx(0.9748, abs=1e-4))
    assert binomial_share(0, 10).high == pytest.approx(1 - 0.025**0.1)
    assert binomial_share(10, 10).low == pytest.approx(0.025**0.1)


@pytest.mark.parametrize(("count", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        binomial_share(count, total)
