from __future__ import annotations

import dataclasses

import pytest

from steelyard.nightly.night_findings import Finding, Outcome, Ratio
from steelyard.triage.severity import is_worse_than
from tests.controller.triage.findings import finding


def _accuracy(points: float) -> Finding:
    ratio = Ratio(value=points, low=points - 0.2, high=points + 0.2, confidence=0.99, unit="pp")
    return dataclasses.replace(finding(Outcome.CONFIRMED), ratio=ratio)


@pytest.mark.parametrize(
    ("now", "known", "is_worse"),
    [(0.20, 0.05, True), (0.065, 0.05, False), (0.05, 0.20, False), (-0.20, -0.05, True), (-0.05, -0.20, False)],
)
def test_only_beyond_both_intervals_is_worse(now: float, known: float, is_worse: bool) -> None:
    pair = [finding(Outcome.CONFIRMED, slower=size) for size in (now, known)]
    assert is_worse_than(*pair) is is_worse


@pytest.mark.parametrize(("now", "known", "is_worse"), [(-2.0, -1.0, True), (-1.1, -1.0, False), (-0.5, -2.0, False)])
def test_accuracies_are_compared_by_their_points(now: float, known: float, is_worse: bool) -> None:
    assert is_worse_than(_accuracy(now), _accuracy(known)) is is_worse


def test_another_value_of_an_exact_metric_is_another_change() -> None:
    known = dataclasses.replace(finding(Outcome.CONFIRMED), ratio=None, text_before="a", text_after="b")
    assert not is_worse_than(known, known)
    assert is_worse_than(dataclasses.replace(known, text_after="c"), known)
    size = dataclasses.replace(finding(Outcome.CONFIRMED), ratio=None, before=100.0, after=120.0)
    assert is_worse_than(dataclasses.replace(size, after=121.0), size)


def test_anything_is_worse_than_what_nobody_measured() -> None:
    assert is_worse_than(finding(Outcome.CONFIRMED), None)
