"""How many units of each group go: by rank over all, over a structure, or within each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.train.prune.ranking import RankedGroup, one_step, removed_counts


def group(*scores: float, unit_channels: int = 1, pattern: str = "a") -> RankedGroup:
    return RankedGroup(scores=np.array(scores, dtype=np.float64), unit_channels=unit_channels, pattern=pattern)


def test_a_share_that_floating_point_makes_a_little_less_is_that_share() -> None:
    assert removed_counts([group(*range(10)), group(*range(20))], 1 - 0.8, scope="layer", round_to=1) == [2, 4]


def test_a_global_rank_takes_from_where_the_scores_are_lowest() -> None:
    groups = [group(1, 2, 3, 4), group(10, 20, 30, 40)]
    assert removed_counts(groups, 0.25, scope="global", round_to=1) == [2, 0]
    assert removed_counts(groups, 0.25, scope="layer", round_to=1) == [1, 1]


def test_structures_are_ranked_apart() -> None:
    groups = [group(1, 2, 3, 4), group(10, 20, 30, 40, pattern="b"), group(5, 6, 7, 8)]
    assert removed_counts(groups, 0.5, scope="isomorphic", round_to=1) == [3, 2, 0]


def test_each_group_keeps_one_unit() -> None:
    assert removed_counts([group(1, 2, 3), group(7, 8, 9)], 0.9, scope="global", round_to=1) == [2, 2]


def test_a_step_is_a_multiple_narrower_or_wider() -> None:
    wide = group(*range(10))
    assert one_step(wide, 2, back=False, round_to=4) == 6
    assert one_step(wide, 6, back=True, round_to=4) == 2
    assert one_step(wide, 2, back=True, round_to=4) == 0, "the whole is no multiple"
    assert one_step(wide, 0, back=False, round_to=4) == 2
    assert one_step(group(*range(10), unit_channels=2), 2, back=False, round_to=4) == 4


def test_a_group_as_narrow_or_as_wide_as_it_may_be_makes_no_step() -> None:
    wide = group(*range(10))
    assert one_step(wide, 0, back=True, round_to=4) is None
    assert one_step(wide, 6, back=False, round_to=4) is None
    assert one_step(wide, 2, back=False, round_to=4, least=0.5) is None
    assert one_step(wide, 2, back=False, round_to=1, least=0.8) is None


def test_a_share_of_each_group_stays() -> None:
    groups = [group(1, 2, 3, 4, 5), group(10, 20, 30, 40, 50)]
    assert removed_counts(groups, 0.5, scope="global", round_to=1, least=0.4) == [3, 0]


def test_the_share_that_stays_is_that_of_the_units_before_the_first_round() -> None:
    later = RankedGroup(scores=np.arange(6.0), unit_channels=1, pattern="a", whole_count=10)
    assert removed_counts([later], 0.9, scope="layer", round_to=1, least=0.4) == [2]


def test_widths_are_rounded_to_the_nearest_multiple() -> None:
    wide = group(*range(16))
    assert removed_counts([wide], 0.55, scope="layer", round_to=4) == [8]
    assert removed_counts([wide], 0.99, scope="layer", round_to=4) == [12]
    # Heads of 8 channels are multiples of 4 already; of 6 channels, two of them are one of 4.
    assert removed_counts([group(*range(8), unit_channels=8)], 0.4, scope="layer", round_to=4) == [3]
    assert removed_counts([group(*range(8), unit_channels=6)], 0.4, scope="layer", round_to=4) == [4]


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="no numbers"):
        group(1.0, float("nan"))


@given(
    st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=12), min_size=1, max_size=5),
    st.floats(0, 1),
    st.sampled_from(["global", "isomorphic", "layer"]),
    st.integers(1, 8),
)
def test_no_group_is_ever_empty_and_more_never_goes_for_less(
    scores: list[list[float]], ratio: float, scope: str, round_to: int
) -> None:
    groups = [group(*one) for one in scores]
    counts = removed_counts(groups, ratio, scope=scope, round_to=round_to)
    fewer = removed_counts(groups, ratio / 2, scope=scope, round_to=round_to)
    assert all(0 <= count < one.unit_count for count, one in zip(counts, groups, strict=True))
    assert all(less <= more for less, more in zip(fewer, counts, strict=True))
