import math

import numpy as np
import pytest

from steelyard.stats.comparison import ComparisonVerdict, compare_rounds
from steelyard.stats.thresholds import Thresholds
from tests.controller.stats.planted import round_medians

SESSIONS = 2000
DIFFERENT = {ComparisonVerdict.FASTER, ComparisonVerdict.SLOWER}
# Two per mille around a ratio: quiet rounds whose verdict is beyond doubt.
QUIET = np.exp(np.array([-0.002, 0.001, 0.002, -0.001, 0.0, 0.001]))


def verdicts(random, rounds, *, ratio, **settings):
    reference, candidate = round_medians(random, SESSIONS, rounds, ratio=ratio)
    return [compare_rounds(a, b, **settings) for a, b in zip(reference, candidate, strict=True)]


def share(comparisons, wanted):
    return np.mean([one.verdict in wanted for one in comparisons])


def test_twice_as_fast_is_faster_with_its_speedup():
    comparison = compare_rounds(2.0 * QUIET, np.ones(6))
    assert comparison.verdict is ComparisonVerdict.FASTER
    assert comparison.speedup.value == pytest.approx(2.0, rel=0.01)
    assert comparison.speedup.confidence == 0.95
    assert comparison.ratio.confidence == 0.99
    assert comparison.ratio.low < comparison.speedup.low
    assert comparison.because.startswith("faster: 2.00x (")
    assert comparison.more_round_count is None
    assert comparison.round_count == 6


def test_half_as_fast_is_slower():
    comparison = compare_rounds(QUIET, np.full(6, 2.0))
    assert comparison.verdict is ComparisonVerdict.SLOWER
    assert comparison.because.startswith("slower: 0.500x")


def test_swapping_the_two_turns_the_verdict_round():
    reference, candidate = round_medians(np.random.default_rng(1), 1, 20, ratio=1.2)
    there, back = compare_rounds(reference[0], candidate[0]), compare_rounds(candidate[0], reference[0])
    assert (there.verdict, back.verdict) == (ComparisonVerdict.FASTER, ComparisonVerdict.SLOWER)
    assert there.ratio.value * back.ratio.value == pytest.approx(1.0)


def test_an_interval_within_the_margin_is_no_difference():
    comparison = compare_rounds(QUIET, np.ones(6))
    assert comparison.verdict is ComparisonVerdict.NO_DIFFERENCE
    assert comparison.because.startswith("no difference as small as 3 %: ")


def test_a_sure_but_tiny_difference_is_no_difference_that_matters():
    comparison = compare_rounds(1.008 * QUIET, np.ones(6))
    assert comparison.ratio.low > 1.0
    assert comparison.verdict is ComparisonVerdict.NO_DIFFERENCE


def test_a_large_effect_in_loud_noise_is_undecided_and_says_how_many_rounds_are_missing():
    comparison = compare_rounds([1.3, 0.95, 1.1, 1.25, 0.9, 1.2], np.ones(6))
    assert comparison.verdict is ComparisonVerdict.UNDECIDED
    assert comparison.more_round_count > 0
    assert f"about {comparison.more_round_count} more rounds" in comparison.because


def test_an_effect_on_the_border_has_no_practical_number_of_rounds():
    # Its mean lies just inside the minimum effect, which is the margin too: no rounds exclude it nor confirm it.
    same = Thresholds(equivalence_margin=0.02)
    ratios = 1.0199 * np.exp(np.array([-0.05, 0.05, -0.05, 0.05]))
    comparison = compare_rounds(ratios, np.ones(4), thresholds=same)
    assert comparison.verdict is ComparisonVerdict.UNDECIDED
    assert comparison.more_round_count is None
    assert "no practical number of rounds" in comparison.because


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_rounds_decide_nothing(count):
    comparison = compare_rounds([2.0] * count, [1.0] * count)
    assert comparison.verdict is ComparisonVerdict.UNDECIDED
    assert comparison.more_round_count == 3 - count
    assert not comparison.speedup.has_interval


def test_rounds_without_any_spread_decide():
    assert compare_rounds([2.0] * 3, [1.0] * 3).verdict is ComparisonVerdict.FASTER
    assert compare_rounds([1.0] * 3, [1.0] * 3).verdict is ComparisonVerdict.NO_DIFFERENCE


@pytest.mark.parametrize(
    ("reference", "candidate", "settings"),
    [
        ([1.0, 2.0], [1.0], {}),
        ([1.0, 0.0, 1.0], [1.0, 1.0, 1.0], {}),
        ([1.0, math.nan, 1.0], [1.0, 1.0, 1.0], {}),
    ],
)
def test_rounds_that_do_not_compare_are_refused(reference, candidate, settings):
    with pytest.raises(ValueError):
        compare_rounds(reference, candidate, **settings)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"minimum_effect": 0.0}, "0.0"),
        ({"minimum_effect": 2.0}, "2.0"),
        ({"equivalence_margin": -0.1}, "-0.1"),
        ({"minimum_effect": 0.05}, "a margin of 3 % is below the minimum effect of 5 %"),
    ],
)
def test_thresholds_that_no_comparison_can_keep_are_refused(fields, named):
    with pytest.raises(ValueError, match=named):
        Thresholds(**fields)


def test_a_sure_effect_within_the_margin_is_still_an_effect():
    comparison = compare_rounds(1.025 * QUIET, np.ones(6))
    assert comparison.speedup.high < 1.03
    assert comparison.verdict is ComparisonVerdict.FASTER


def test_no_difference_is_read_off_its_own_interval_and_shows_it():
    ratios = np.exp(np.array([-0.02, 0.02, -0.02, 0.02, -0.02, 0.02]))
    sure = compare_rounds(ratios, np.ones(6), equivalence_confidence=0.95)
    strict = compare_rounds(ratios, np.ones(6), equivalence_confidence=0.99)
    assert sure.verdict is ComparisonVerdict.NO_DIFFERENCE
    assert sure.ratio.confidence == 0.95
    assert strict.verdict is ComparisonVerdict.UNDECIDED
    assert strict.ratio.confidence == 0.99


def test_the_detectable_effect_is_found_in_four_of_five_tries():
    random = np.random.default_rng(8)
    seen = np.median(
        [compare_rounds(np.exp(random.normal(0, 0.02, 20)), np.ones(20)).detectable_effect.value for _ in range(400)]
    )
    ratios = (1.0 + seen) * np.exp(random.normal(0.0, 0.02, (2000, 20)))
    found = np.mean([compare_rounds(one, np.ones(20), equivalence_confidence=0.99).ratio.low > 1.0 for one in ratios])
    assert 0.75 <= found <= 0.85
    assert 0.01 < seen < 0.03


def test_the_detectable_effect_says_what_it_is_and_is_unknown_below_three_rounds():
    known = compare_rounds(QUIET, np.ones(6)).detectable_effect
    assert (known.unit, known.confidence) == ("fraction", 0.99)
    assert known.reason == "the least change that 6 rounds of this spread show in 80 % of tries"
    assert compare_rounds([1.0], [1.0]).detectable_effect.value is None


def test_the_rank_test_agrees_in_silence():
    assert compare_rounds(1.3 * QUIET, np.ones(6)).contradiction == ""
    assert compare_rounds(QUIET, np.ones(6)).contradiction == ""
    random = np.random.default_rng(9)
    noted = [compare_rounds(np.exp(random.normal(0.0, 0.015, 20)), np.ones(20)).contradiction for _ in range(2000)]
    assert np.mean([note != "" for note in noted]) <= 0.01


def test_a_wild_round_that_hides_a_difference_is_told_by_the_rank_test():
    # Nineteen rounds are 5 % faster; in one of them something else held the candidate up.
    ratios = 1.05 * np.exp(np.concatenate([np.linspace(-0.004, 0.004, 19), [-3.0]]))
    comparison = compare_rounds(ratios, np.ones(20))
    assert comparison.verdict is ComparisonVerdict.UNDECIDED
    told = comparison.contradiction
    assert told.startswith("Wilcoxon's signed-rank test (p = ")
    assert "says faster, the interval does not" in told


@pytest.mark.parametrize("rounds", [6, 12, 20])
def test_the_same_model_twice_stays_silent(rounds):
    assert share(verdicts(np.random.default_rng(rounds), rounds, ratio=1.0), DIFFERENT) <= 0.015


def test_a_planted_3_percent_is_mostly_found_by_20_rounds():
    reference, candidate = round_medians(np.random.default_rng(3), SESSIONS, 20, ratio=1.03, sigma=0.012)
    # Quiet launches (1.2 %) and one launch in twenty that is 10 % slow.
    found = [compare_rounds(a, b).verdict for a, b in zip(reference, candidate, strict=True)]
    assert np.mean([one is ComparisonVerdict.FASTER for one in found]) > 0.6
    assert ComparisonVerdict.SLOWER not in found


def test_a_planted_10_percent_is_found_by_20_rounds_of_loud_launches():
    comparisons = verdicts(np.random.default_rng(4), 20, ratio=1.1)
    assert share(comparisons, {ComparisonVerdict.FASTER}) > 0.95


def test_the_suggested_number_of_rounds_decides_most_of_the_time():
    random = np.random.default_rng(6)
    decided = []
    for _ in range(300):
        ratios = 1.05 * np.exp(random.normal(0.0, 0.04, 8))
        first = compare_rounds(ratios, np.ones(8))
        if first.more_round_count is not None and first.verdict is ComparisonVerdict.UNDECIDED:
            more = 1.05 * np.exp(random.normal(0.0, 0.04, min(first.more_round_count, 500)))
            both = np.concatenate([ratios, more])
            decided.append(compare_rounds(both, np.ones(both.size)).verdict is not ComparisonVerdict.UNDECIDED)
    assert len(decided) > 50
    assert np.mean(decided) > 0.6


def test_a_99_percent_interval_holds_the_planted_ratio():
    comparisons = verdicts(np.random.default_rng(7), 12, ratio=1.5)
    held = [one.ratio.low <= 1.5 <= one.ratio.high for one in comparisons]
    assert 0.98 <= np.mean(held) <= 1.0
    held = [one.speedup.low <= 1.5 <= one.speedup.high for one in comparisons]
    assert 0.92 <= np.mean(held) <= 0.98
