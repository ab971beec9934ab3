import numpy as np
import pytest

from steelyard.stats.accuracy import paired_drop, wilson


def answers(both: int, lost: int, gained: int, neither: int):
    reference = np.repeat([True, True, False, False], [both, lost, gained, neither])
    candidate = np.repeat([True, False, True, False], [both, lost, gained, neither])
    return reference, candidate


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe 1998, Stat. Med. 17, 857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_wilson_interval_is_that_of_the_literature(correct, total, low, high):
    estimate = wilson(correct, total)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)
    assert estimate.value == pytest.approx(correct / total)
    assert (estimate.unit, estimate.observation_count) == ("fraction", total)


def test_the_wilson_interval_mirrors_and_ends_at_1():
    assert wilson(20, 20).high == 1.0
    assert wilson(20, 20).low == pytest.approx(1.0 - wilson(0, 20).high)


def test_no_sample_gives_no_accuracy():
    assert wilson(0, 0).reason == "no sample was evaluated"
    nothing = np.zeros(0, dtype=bool)
    assert paired_drop(nothing, nothing).reason == "no sample was evaluated"


@pytest.mark.parametrize(("correct", "total"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(correct, total):
    with pytest.raises(ValueError, match="make no sense"):
        wilson(correct, total)


def test_the_paired_drop_is_the_adjusted_wald_interval_by_hand():
    # 21 pairs, 7 lost, 1 gained: shares 8/23 and 2/23; centre 0.26087, standard error 0.126269.
    estimate = paired_drop(*answers(1, 7, 1, 12))
    assert estimate.value == pytest.approx(100 * 6 / 21)
    assert (estimate.low, estimate.high) == pytest.approx((1.339, 50.835), abs=0.01)
    assert estimate.unit == "pp"


def test_equal_answers_are_no_drop_with_an_interval_that_shrinks_with_samples():
    few, many = paired_drop(*answers(90, 0, 0, 10)), paired_drop(*answers(1800, 0, 0, 200))
    assert (few.value, many.value) == (0.0, 0.0)
    assert many.high == pytest.approx(100 * 1.95996 * 2**0.5 / 2002, rel=1e-3)
    assert few.high > 15 * many.high


@pytest.mark.parametrize("confidence", [0.05, 0.5, 0.95])
def test_the_value_lies_in_the_interval_even_at_the_ends(confidence):
    for lost, gained in ((30, 0), (0, 30), (1, 0), (15, 15)):
        estimate = paired_drop(*answers(0, lost, gained, 0), confidence)
        assert -100.0 <= estimate.low <= estimate.value <= estimate.high <= 100.0


def test_the_95_percent_interval_of_the_drop_holds_the_planted_drop():
    random = np.random.default_rng(8)
    for lost, gained in ((0.03, 0.02), (0.004, 0.004), (0.08, 0.0)):
        counts = random.multinomial(2000, [lost, gained, 1.0 - lost - gained], size=1000)
        truth = 100.0 * (lost - gained)
        estimates = [paired_drop(*answers(rest, a, b, 0)) for a, b, rest in counts]
        assert 0.92 <= np.mean([one.low <= truth <= one.high for one in estimates]) <= 0.98


def test_wilson_holds_the_planted_accuracy():
    correct = np.random.default_rng(9).binomial(2000, 0.91, size=2000)
    held = [one.low <= 0.91 <= one.high for one in (wilson(int(count), 2000) for count in correct)]
    assert 0.92 <= np.mean(held) <= 0.98


def test_answers_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="pair up"):
        paired_drop(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="right or wrong"):
        paired_drop(np.ones(3), np.ones(3))
