"""Which suspicions are watched, and which leave the night something to decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard.nightly.device_judgement import JudgedCandidate
from steelyard.nightly.histories import SeriesFacts
from steelyard.nightly.night_findings import Finding, Outcome, SeriesName
from steelyard.nightly.notes import ConfirmationNote, Factor
from steelyard.nightly.watching import weighed
from steelyard.series.history import history_of
from steelyard.series.judgements import Candidate, Side
from steelyard.series.series_key import SeriesKey
from steelyard.triage.alert import AlertState, AlertSubject, new_alert

KEY = SeriesKey(suite="s", model="m", device_id="d", runtime="r", metric="p50")
SUSPECTED = Finding(
    series=SeriesName(model="m", device_id="d", device="pi5", runtime="r", metric="p50"),
    outcome=Outcome.SUSPECTED,
    unit="ns",
    before=20e6,
    after=22e6,
    reason="10 % more; not confirmed: measured again tonight it is 22 ms",
)
SEEN_AGAIN = ConfirmationNote(
    factor=Factor.AGAIN, metrics=("p50",), last_good_night=5, is_over=True, seen_again=("p50",)
)


def candidate(*, p_value: float | None = 1e-4, lasting_p: float | None = None) -> JudgedCandidate:
    history = history_of(KEY, [5, 6], [20e6, 22e6])
    return JudgedCandidate(
        candidate=Candidate(key=KEY, night=6, side=Side.WORSE, reason="10 % more", before=20e6, p_value=p_value),
        facts=SeriesFacts(
            key=KEY, series_id=1, device="pi5", unit="ns", history=history, environment_ids=(1, 1), first_night=1
        ),
        history=history,
        last_good_night=5,
        first_bad_night=6,
        lasting_p=lasting_p,
    )


def outcome(one: JudgedCandidate, *notes: ConfirmationNote, finding: Finding = SUSPECTED, same: bool = True) -> Outcome:
    return weighed(finding, one, notes, is_unexplained=same).outcome


def test_what_is_seen_twice_with_nothing_changed_is_watched() -> None:
    found = weighed(SUSPECTED, candidate(), [SEEN_AGAIN], is_unexplained=True)
    assert found == replace(SUSPECTED, outcome=Outcome.WATCHED, reason=found.reason)
    assert found.reason.startswith(SUSPECTED.reason)


@pytest.mark.parametrize(
    ("one", "notes", "same"),
    [
        (candidate(), [SEEN_AGAIN], False),
        (candidate(), [], True),
        (candidate(), [replace(SEEN_AGAIN, seen_again=("p95",))], True),
        (candidate(p_value=None), [SEEN_AGAIN], True),
        (candidate(p_value=1e-12), [SEEN_AGAIN], True),
        (candidate(lasting_p=1e-6), [SEEN_AGAIN], True),
    ],
    ids=["changed", "not measured again", "another metric", "accuracy", "beyond doubt", "lasting"],
)
def test_what_may_be_a_regression_stays_suspected(
    one: JudgedCandidate, notes: list[ConfirmationNote], same: bool
) -> None:
    assert outcome(one, *notes, same=same) is Outcome.SUSPECTED


def test_what_is_decided_already_is_left_alone() -> None:
    for decided in (Outcome.CONFIRMED, Outcome.IMPROVED, Outcome.DEVICE):
        assert outcome(candidate(), SEEN_AGAIN, finding=replace(SUSPECTED, outcome=decided)) is decided
    subject = AlertSubject(suite="s", device_id="d", device="pi5", model="m", runtime="r", metric="p50")
    at = "2026-11-10T09:00:00Z"
    confirmed = new_alert(subject, state=AlertState.CONFIRMED, first_night=6, night_number=6, at=at, reason="10 %")
    assert outcome(replace(candidate(), alert=confirmed), SEEN_AGAIN) is Outcome.SUSPECTED


def test_who_decides_is_told_from_the_second_night_on() -> None:
    subject = AlertSubject(suite="s", device_id="d", device="pi5", model="m", runtime="r", metric="p50")
    at = "2026-11-10T09:00:00Z"
    open_alert = new_alert(subject, state=AlertState.SUSPECTED, first_night=4, night_number=4, at=at, reason="10 %")
    told = weighed(SUSPECTED, replace(candidate(), alert=open_alert), [], is_unexplained=True)
    assert f"`steelyard alerts ack {open_alert.alert_id}`" in told.reason
    assert weighed(SUSPECTED, candidate(), [], is_unexplained=True) == SUSPECTED
