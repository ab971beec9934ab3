"""Candidates are ordered by what speaks for them; q-values are Benjamini and Hochberg's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard.series.judgements import Candidate, Side
from steelyard.series.ranking import ranked
from tests.controller.series.planted_series import key


def candidate(model: str, p_value: float | None, change: float = 0.05) -> Candidate:
    return Candidate(
        key=replace(key(), model=model), night=9, side=Side.WORSE, reason="more", p_value=p_value, change=change
    )


def test_the_surest_comes_first_and_what_differs_exactly_before_all() -> None:
    order = ranked([candidate("b", 0.03), candidate("a", 0.001), candidate("exact", None), candidate("c", 0.04)], 100)
    assert [(one.rank, one.candidate.key.model) for one in order] == [(1, "exact"), (2, "a"), (3, "b"), (4, "c")]


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    # scipy.stats.false_discovery_control of [0.01, 0.02, 0.03, 0.04] and six of 1.0.
    order = ranked([candidate(str(index), p) for index, p in enumerate((0.01, 0.02, 0.03, 0.04))], 10)
    assert [one.q_value for one in order] == pytest.approx([0.1, 0.1, 0.1, 0.1])
    order = ranked([candidate(str(index), p) for index, p in enumerate((0.001, 0.02, 0.04))], 10)
    assert [one.q_value for one in order] == pytest.approx([0.01, 0.1, 0.4 / 3])


def test_equal_p_values_are_ordered_by_the_size_of_the_change() -> None:
    order = ranked([candidate("small", 0.01, 0.04), candidate("large", 0.01, -0.30)], 2)
    assert [one.candidate.key.model for one in order] == ["large", "small"]


def test_no_candidates_make_no_ranking_and_too_few_hypotheses_are_refused() -> None:
    assert ranked([], 0) == ()
    with pytest.raises(ValueError, match="1 candidates of 0 hypotheses"):
        ranked([candidate("a", 0.01)], 0)
