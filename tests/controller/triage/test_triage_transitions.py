from __future__ import annotations

import itertools

import pytest

from steelyard.nightly.night_findings import Outcome
from steelyard.triage.alert import CLOSED_STATES, Alert, AlertState, AlertSubject, new_alert
from steelyard.triage.errors import TriageError
from steelyard.triage.transitions import (
    TRANSITIONS,
    accepted,
    acknowledged,
    closed,
    moved,
    without_acknowledgement,
)
from tests.controller.triage.findings import finding, tell

AT = "2026-11-10T09:00:00Z"


def _alert(outcome: Outcome = Outcome.CONFIRMED) -> Alert:
    (alert,) = tell(10, finding(outcome)).alerts
    return alert


def _device_alert() -> Alert:
    subject = AlertSubject(suite="phones", device_id="id-pi5", device="pi5")
    return new_alert(subject, state=AlertState.CONFIRMED, first_night=3, night_number=3, at=AT, reason="9 % slower")


def test_every_state_has_its_transitions_and_closed_ones_have_none() -> None:
    assert set(TRANSITIONS) == set(AlertState)
    assert {state for state, after in TRANSITIONS.items() if not after} == CLOSED_STATES


def test_every_transition_that_is_not_allowed_is_refused_with_what_is() -> None:
    for before, after in itertools.product(AlertState, AlertState):
        alert = (
            new_alert(_alert().subject, state=before, first_night=1, night_number=1, at=AT, reason="x")
            if before is not AlertState.ACCEPTED
            else accepted(_alert(), who="ada", reason="meant", at=AT)
        )
        if after in TRANSITIONS[before]:
            baseline = 1 if after is AlertState.ACCEPTED else None
            assert moved(alert, after, who="ada", reason="so", at=AT, baseline_night=baseline).state is after
        else:
            with pytest.raises(TriageError, match=before.value) as refused:
                moved(alert, after, who="ada", reason="so", at=AT)
            assert refused.value.reason == "bad_transition"


def test_an_acknowledgement_says_who_why_and_until_when() -> None:
    known = acknowledged(_alert(), who="ada", reason="ticket 41", at=AT, until="2026-11-24T09:00:00Z")
    assert (known.state, known.acknowledged_until) == (AlertState.ACKNOWLEDGED, "2026-11-24T09:00:00Z")
    assert (known.last_event.who, known.last_event.reason, known.last_event.at) == ("ada", "ticket 41", AT)


def test_an_acknowledgement_can_be_extended() -> None:
    known = acknowledged(_alert(), who="ada", reason="ticket 41", at=AT, until="2026-11-24T09:00:00Z")
    longer = acknowledged(known, who="bo", reason="not yet", at="2026-11-20T09:00:00Z")
    assert longer.acknowledged_until == ""


def test_an_extended_acknowledgement_that_ends_gives_back_the_state_before_the_first() -> None:
    known = acknowledged(_alert(Outcome.UNDECIDED), who="ada", reason="ticket 41", at=AT)
    longer = acknowledged(known, who="bo", reason="not yet", at=AT)
    assert without_acknowledgement(longer, reason="over", at=AT).state is AlertState.UNDECIDED


def test_an_acknowledgement_that_is_over_already_is_refused() -> None:
    with pytest.raises(TriageError, match="is over already") as refused:
        acknowledged(_alert(), who="ada", reason="ticket 41", at=AT, until="2026-11-09T00:00:00Z")
    assert refused.value.reason == "bad_until"


def test_an_accepted_change_begins_the_baseline_on_its_first_bad_night() -> None:
    meant = accepted(_alert(), who="ada", reason="a larger model", at=AT)
    assert (meant.state, meant.baseline_night, meant.is_open) == (AlertState.ACCEPTED, 10, False)


def test_a_device_has_no_baseline_to_accept() -> None:
    with pytest.raises(TriageError, match="device pi5 has no baseline"):
        accepted(_device_alert(), who="ada", reason="it is old", at=AT)


@pytest.mark.parametrize("state", [AlertState.CONFIRMED, AlertState.ACCEPTED, AlertState.NOT_REPRODUCED])
def test_people_close_only_as_what_people_can_know(state: AlertState) -> None:
    with pytest.raises(TriageError, match="known: fixed, infrastructure, device, invalid"):
        closed(_alert(), state, who="ada", reason="so", at=AT)


def test_a_closed_alert_says_who_closed_it() -> None:
    done = closed(_device_alert(), AlertState.INFRASTRUCTURE, who="ada", reason="the rack was hot", at=AT)
    with pytest.raises(TriageError, match=f"closed as infrastructure by ada at {AT}"):
        acknowledged(done, who="bo", reason="so", at=AT)


@pytest.mark.parametrize(
    ("who", "reason", "code"), [("", "so", "bad_person"), ("ada", " ", "bad_reason"), ("ada", "x" * 1001, "bad_reason")]
)
def test_a_change_by_nobody_or_without_a_reason_is_refused(who: str, reason: str, code: str) -> None:
    with pytest.raises(TriageError) as refused:
        acknowledged(_alert(), who=who, reason=reason, at=AT)
    assert refused.value.reason == code
