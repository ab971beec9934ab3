from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.bisect.search import Answer, Ask, Found, NothingToFind, comparisons_left, next_step


def searched(count: int, first_bad: int, skipped: frozenset[int] = frozenset()) -> tuple[Found | NothingToFind, int]:
    """Run a search whose candidates are bad from ``first_bad`` on; return its end and how many were asked about."""
    answers: dict[int, Answer] = {}
    while isinstance(step := next_step(count, answers), Ask):
        assert step.index not in answers
        told = Answer.BAD if step.index >= first_bad else Answer.GOOD
        answers[step.index] = Answer.SKIPPED if step.index in skipped else told
    return step, len(answers)


@given(st.integers(2, 300).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count - 1))))
def test_the_first_bad_one_is_found_in_log2_comparisons(case: tuple[int, int]) -> None:
    count, first_bad = case
    step, asked = searched(count, first_bad)

    assert step == Found(last_good=first_bad - 1, first_bad=first_bad)
    assert asked <= 1 + math.ceil(math.log2(count - 1)) if count > 2 else asked == 1


@given(st.data())
def test_with_candidates_that_cannot_be_told_the_right_one_is_among_those_left(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 60))
    first_bad = data.draw(st.integers(1, count - 1))
    skipped = data.draw(st.frozensets(st.integers(1, count - 2)))

    step, _ = searched(count, first_bad, skipped)

    assert isinstance(step, Found)
    assert step.last_good < first_bad <= step.first_bad
    assert set(range(step.last_good + 1, step.first_bad)) <= skipped


def test_without_a_change_there_is_one_comparison() -> None:
    assert searched(50, 99) == (NothingToFind(last=Answer.GOOD), 1)


def test_a_last_one_that_cannot_be_told_ends_the_search() -> None:
    assert next_step(9, {8: Answer.SKIPPED}) == NothingToFind(last=Answer.SKIPPED)


def test_what_is_left_is_said_before_it_is_run() -> None:
    assert comparisons_left(2, {}) == 1
    assert comparisons_left(9, {}) == 4
    assert comparisons_left(9, {8: Answer.BAD, 4: Answer.GOOD}) == 2
    assert comparisons_left(9, {8: Answer.GOOD}) == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="two are the least"):
        next_step(1, {})
    with pytest.raises(ValueError, match="answers of"):
        next_step(3, {3: Answer.BAD})
