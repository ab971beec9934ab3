"""Error rates of text: against a plain table of distances, and known decodings."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.edit_distance import edit_count
from steelyard.tasks.metrics.registry import metric
from steelyard.tasks.metrics.text_decoding import decoded_texts


def _plain_distance(one: str, other: str) -> int:
    @functools.cache
    def between(first: int, second: int) -> int:
        if not first or not second:
            return first + second
        return min(
            between(first - 1, second) + 1,
            between(first, second - 1) + 1,
            between(first - 1, second - 1) + (one[first - 1] != other[second - 1]),
        )

    return between(len(one), len(other))


@given(st.text("abc", max_size=9), st.text("abcd", max_size=9))
def test_distances_agree_with_the_plain_recursion(one: str, other: str) -> None:
    assert edit_count(one, other) == _plain_distance(one, other)


def test_known_distances() -> None:
    assert edit_count("kitten", "sitting") == 3
    assert edit_count("", "abc") == 3
    assert edit_count("abc", "") == 3
    assert edit_count(["new", "york"], ["york"]) == 1


def test_ctc_joins_repeats_and_drops_blanks() -> None:
    classes = np.array([[1, 1, 0, 1, 2, 2, 0], [0, 3, 3, 3, -1, 3, 0]])
    assert decoded_texts(classes, ("a", "b", "c"), blank=0, joins_repeats=True) == ["aab", "cc"]
    assert decoded_texts(classes, ("a", "b", "c"), blank=0, joins_repeats=False) == ["aaabb", "cccc"]


def test_a_blank_in_the_middle_or_at_the_end_moves_the_symbols() -> None:
    assert decoded_texts(np.array([[0, 1, 2, 3]]), ("a", "b", "c"), blank=3, joins_repeats=True) == ["abc"]
    assert decoded_texts(np.array([[0, 1, 2, 3]]), ("a", "b", "c"), blank=1, joins_repeats=True) == ["abc"]


def test_the_rate_is_all_edits_over_all_true_characters() -> None:
    outputs = {"argmax": np.array([[1, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])}
    answers = metric("edit-distance", {"alphabet": "ab"}).answers({"texts": np.array(["ab", "abba", ""])}, outputs)
    # "ab" is right, "aa" lacks the two b of "abba", and the third is empty as it should be.
    assert answers.value() == pytest.approx(2 / 6)
    assert answers.value(np.array([0, 0, 1])) is None


def test_the_rate_of_words_counts_words() -> None:
    found = metric("edit-distance", {"alphabet": ["new", " ", "york"], "blank": -1, "of": "word", "decode": "argmax"})
    answers = found.answers({"texts": np.array(["new york", "york"])}, {"argmax": np.array([[0, 1, 2], [0, 3, 3]])})
    assert answers.value() == pytest.approx(1 / 3)


def test_a_model_that_gives_class_numbers_is_read_whole() -> None:
    found = metric("edit-distance", {"alphabet": "ab", "output_form": "classes", "output": "ids"})
    assert found.reduction.reducer == "full"
    answers = found.answers({"texts": np.array(["ab"])}, {"x": np.zeros((1, 2)), "ids": np.array([[1.0, 2.0]])})
    assert answers.value() == 0.0


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"argmax": np.array([[1, 4]])}, "answers class 4 and the alphabet has 3 symbols"),
        ({"argmax": np.array([[1, -2]])}, "answers class -2"),
        ({"argmax": np.array([1])}, r"is int64 \[1\] and should be int64 \[1, 'any'\]"),
        ({"argmax": np.zeros((2, 3), np.int64)}, "2 answers"),
    ],
)
def test_answers_that_do_not_fit_are_refused(outputs: dict[str, np.ndarray[Any, Any]], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        metric("edit-distance", {"alphabet": "abc"}).answers({"texts": np.array(["a"])}, outputs)


@pytest.mark.parametrize("values", [[[0.5, 1.0]], [[np.nan, 1.0]], [[2.0**40, 1.0]]])
def test_values_that_are_no_class_numbers_are_refused(values: list[list[float]]) -> None:
    found = metric("edit-distance", {"alphabet": "abc", "output_form": "classes"})
    with pytest.raises(TaskError, match="holds other values than class numbers"):
        found.answers({"texts": np.array(["a"])}, {"y": np.array(values)})
