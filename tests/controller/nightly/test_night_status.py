"""How long ago the last night was, by the controller's clock."""

from __future__ import annotations

from steelyard.nightly.night_status import night_words, statuses
from steelyard_protocol.v1 import nightly_pb2

HOUR_S = 3600


def latest(*, ended_h: float | None = None, complete_h: float | None = None) -> nightly_pb2.ListLatestNightsResponse:
    response = nightly_pb2.ListLatestNightsResponse()
    response.now.FromSeconds(1_000 * HOUR_S)
    one = response.suites.add(suite_name="shelf")
    for name, age_h, verdict in (("ended", ended_h, "INCOMPLETE"), ("complete", complete_h, "PASS")):
        if age_h is not None:
            night = getattr(one, name)
            night.night_number, night.verdict = 7, verdict
            night.closed_at.FromSeconds(int((1_000 - age_h) * HOUR_S))
    return response


def test_a_complete_night_within_the_age_is_fine() -> None:
    (status,) = statuses(latest(ended_h=3, complete_h=3), max_age_s=26 * HOUR_S)
    assert not status.is_late
    assert status.complete_age_s == 3 * HOUR_S


def test_an_incomplete_night_does_not_count() -> None:
    (status,) = statuses(latest(ended_h=3, complete_h=27), max_age_s=26 * HOUR_S)
    assert status.is_late
    assert status.sentence == "shelf: night 7 INCOMPLETE 3 h ago; LATE: the last complete one ended 27 h ago"


def test_without_any_complete_night_it_is_late() -> None:
    (status,) = statuses(latest(ended_h=1), max_age_s=26 * HOUR_S)
    assert status.is_late
    assert "there is no complete night" in status.sentence


def test_a_suite_that_was_asked_for_and_has_no_night_is_late() -> None:
    nothing = nightly_pb2.ListLatestNightsResponse()
    (status,) = statuses(nothing, "shelf", max_age_s=60.0)
    assert status.is_late
    assert statuses(nothing, max_age_s=60.0) == []


def test_without_an_age_nothing_is_late() -> None:
    (status,) = statuses(latest(ended_h=900), max_age_s=None)
    assert not status.is_late


def test_a_night_that_runs_has_no_result_yet() -> None:
    night = nightly_pb2.Night(suite_name="shelf", night_number=3, state=nightly_pb2.NIGHT_STATE_RUNNING)
    night.started_at.FromSeconds(1_790_000_000)
    assert night_words(night) == ("shelf", "3", "2026-09-21 14:13", "", "running")
