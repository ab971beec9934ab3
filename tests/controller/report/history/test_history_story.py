"""What is told of a series: its nights in order, and every kind of change where it happened."""

from __future__ import annotations

from steelyard.report.history.story import ChangeKind, tell
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.report.history.told_series import ENVIRONMENTS, story, told_points, told_series, told_texts

ACCEPTED = nightly_pb2.SeriesMark(night_number=30, kind="accepted", message="the new runtime", who="ada")
REPLACED = nightly_pb2.SeriesMark(night_number=12, kind="device_replaced", message="pi5-b took the place of pi5")


def test_nights_come_oldest_first_with_their_days() -> None:
    told = story(5, gaps={2})
    assert [(one.number, one.day) for one in told.nights] == [(night, f"day {night}") for night in range(1, 6)]
    assert [one.number for one in told.gaps] == [2]
    assert (len(told.values), told.title) == (4, "p50 of mobilenet on pi5 (onnxruntime)")


def test_each_kind_of_change_stands_at_its_night() -> None:
    told = story(60, step_at=30, marks=[ACCEPTED, REPLACED])
    assert [(one.night, one.kind, one.words) for one in told.changes] == [
        (12, ChangeKind.DEVICE_REPLACED, "pi5-b took the place of pi5"),
        (30, ChangeKind.ACCEPTED, "accepted by ada: the new runtime"),
        (30, ChangeKind.ENVIRONMENT, "runtime onnxruntime 1.19.2 -> onnxruntime 1.20.0"),
        (30, ChangeKind.LEVEL, told.changes[3].words),
    ]
    assert told.changes[3].words.startswith("another level from here on: +6.")


def test_a_steady_series_has_no_change() -> None:
    assert story(60).changes == ()


def test_levels_are_looked_for_among_the_newest_nights_only() -> None:
    kinds = [{one.kind for one in story(300, step_at=step).changes} for step in (50, 250)]
    assert [ChangeKind.LEVEL in one for one in kinds] == [False, True]


def test_changes_before_the_nights_that_are_shown_are_left_out() -> None:
    points = told_points(60)[:20]
    told = tell(told_series(60, marks=[ACCEPTED]), points, environments=ENVIRONMENTS, days={})
    assert (told.nights[0].number, told.changes) == (41, ())


def test_an_environment_that_is_not_known_is_no_change() -> None:
    told = tell(told_series(9), told_points(9, step_at=5), environments={1: ENVIRONMENTS[1]}, days={})
    assert ChangeKind.ENVIRONMENT not in {one.kind for one in told.changes}


def test_of_a_metric_that_the_analysis_does_not_know_no_level_is_told() -> None:
    changes = story(60, step_at=30, metric="of_a_plugin").changes
    assert {one.kind for one in changes} == {ChangeKind.ENVIRONMENT}


def test_texts_are_told_as_they_are() -> None:
    told = tell(told_series(2, metric="placement", unit=""), told_texts("cpu:12", "cpu:10"), environments={}, days={})
    assert ([one.text for one in told.nights], told.values, told.changes) == (["cpu:12", "cpu:10"], (), ())


def test_a_series_without_nights_is_told_as_such() -> None:
    told = tell(told_series(0), [], environments={}, days={})
    assert (told.nights, told.changes, told.values) == ((), (), ())
