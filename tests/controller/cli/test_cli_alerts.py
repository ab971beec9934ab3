"""`steelyard alerts` against a real controller: what people make of what nights found."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone

import pytest

from steelyard.control.client import Client
from steelyard.nightly.alert_messages import alert_message
from steelyard.nightly.night_findings import Outcome
from steelyard.triage.alert import Alert, AlertState
from steelyard.triage.tonight import DevicesTonight, DeviceTrouble
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.triage.findings import SUITE, finding, series, tell

AT = datetime(2026, 11, 28, 2, tzinfo=timezone.utc)
WHY = ("--reason", "ticket 41", "--who", "ada")


@pytest.fixture
def opened(client: Client) -> list[Alert]:
    """A night of the suite with three alerts that nobody looked at: two of models, one of a device."""
    night = client.nightly.begin(SUITE, suite_digest="ab" * 32, suite_text="", started_at=AT).night
    names = [series(), series("resnet")]
    keys = [
        nightly_pb2.SeriesKey(
            suite_name=SUITE,
            model=one.model,
            device_id=one.device_id,
            runtime=one.runtime,
            metric=one.metric,
            unit="ns",
        )
        for one in names
    ]
    client.nightly.series.record(night.night_id, [nightly_pb2.Point(key=key, value=2.2e6) for key in keys])
    trouble = DevicesTonight(troubles=(DeviceTrouble(device_id="id-pi4", device="pi4", sentence="9 % slower"),))
    found = [finding(Outcome.CONFIRMED, one, night=night.night_number) for one in names]
    alerts = tell(night.night_number, *found, devices=trouble).alerts
    client.nightly.alerts.put(night.night_id, [alert_message(one) for one in alerts])
    client.nightly.abandon(night.night_id, "only its alerts are wanted")
    return sorted(alerts, key=lambda one: str(one.subject))


def _state(client: Client, alert: Alert) -> str:
    return client.nightly.alerts.get(alert.alert_id).state


def test_open_alerts_are_listed_and_shown(steelyard, opened: list[Alert]) -> None:
    ran = steelyard("alerts", "list", "--suite", SUITE)
    assert ran.code == 0, ran.err
    for alert in opened:
        assert alert.alert_id[:8] in ran.out
    assert "device pi4" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80

    shown = steelyard("alerts", "show", opened[1].alert_id[:8])
    assert shown.code == 0, shown.err
    assert "mobilenet p50 on pi5 under onnxruntime" in shown.out
    assert "+5.0" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_an_acknowledged_alert_says_who_why_and_until_when(steelyard, client: Client, opened: list[Alert]) -> None:
    alert = opened[1]
    ran = steelyard("alerts", "ack", alert.alert_id[:8], *WHY, "--until", "2099-12-24")
    assert (ran.code, ran.out) == (0, "")
    assert "is acknowledged until 2099-12-24 00:00 UTC" in ran.err
    document = steelyard("alerts", "show", alert.alert_id, "--json").document
    assert document["kind"] == "alert"
    told = document["alert"]
    assert (told["state"], told["acknowledged_until"]) == ("acknowledged", "2099-12-24T00:00:00Z")
    assert (told["events"][-1]["who"], told["events"][-1]["reason"]) == ("ada", "ticket 41")
    assert client.nightly.alerts.get(alert.alert_id).changed_by == "ada"
    assert "acknowledged" in steelyard("alerts", "show", alert.alert_id).out


def test_an_accepted_change_is_the_new_baseline_of_its_series(steelyard, client: Client, opened: list[Alert]) -> None:
    alert = opened[1]
    ran = steelyard("alerts", "accept", alert.alert_id, *WHY, "--json")
    (told,) = ran.document["alerts"]
    assert (told["state"], told["baseline_night"]) == ("accepted", alert.first_night)
    (kept,) = client.nightly.series.find(nightly_pb2.SeriesFilter(suite_name=SUITE, model="mobilenet"))
    assert kept.accepted_night == alert.first_night
    assert (kept.marks[-1].who, kept.marks[-1].message) == ("ada", "ticket 41")


def test_matchers_stand_for_the_open_alerts_that_fit(steelyard, client: Client, opened: list[Alert]) -> None:
    device, mobilenet, resnet = opened
    ran = steelyard("alerts", "ack", "model=*", "metric=p50", *WHY)
    assert ran.code == 0, ran.err
    assert [_state(client, one) for one in (device, mobilenet, resnet)] == ["confirmed", "acknowledged", "acknowledged"]
    steelyard("alerts", "close", f"suite={SUITE}", "--as", "infrastructure", *WHY)
    assert {_state(client, one) for one in opened} == {"infrastructure"}
    refused = steelyard("alerts", "ack", "model=mobilenet", "device=pi9", *WHY).is_refused(2)
    assert "no open alert fits model=mobilenet device=pi9" in refused


def test_a_false_alarm_is_closed_as_invalid_and_found_by_its_state(steelyard, opened: list[Alert]) -> None:
    steelyard("alerts", "invalid", opened[2].alert_id, *WHY)
    ran = steelyard("alerts", "list", "--state", "invalid", "--json")
    assert opened[2].alert_id in {one["alert_id"] for one in ran.document["alerts"]}
    listed = steelyard("alerts", "list", "--json").document["alerts"]
    assert opened[2].alert_id not in {one["alert_id"] for one in listed}
    everything = steelyard("alerts", "list", "--all", "--json").document["alerts"]
    assert opened[2].alert_id in {one["alert_id"] for one in everything}


def test_somebody_who_was_faster_is_not_written_over(client: Client, opened: list[Alert]) -> None:
    from steelyard.nightly.triaging import Person, Triage

    triage = Triage(client.nightly)
    first, second = (Person(who=who, reason="so", now=datetime.now(tz=timezone.utc)) for who in ("ada", "bo"))
    stale = triage.alert(opened[1].alert_id)
    triage.acknowledge(stale, first)
    done = triage.close(stale, AlertState.FIXED, second)
    assert [event.who for event in done.events] == ["steelyard", "ada", "bo"]


def test_a_silence_is_listed_shown_with_its_alerts_and_ended(steelyard, opened: list[Alert]) -> None:
    made = steelyard("alerts", "silence", "model=mobile*", "device=pi5", "--until", "14d", *WHY, "--json").document
    silence = made["silence"]
    assert silence["matchers"] == [
        {"name": "model", "pattern": "mobile*"},
        {"name": "device", "pattern": "pi5"},
    ]
    listed = steelyard("alerts", "list")
    assert silence["silence_id"][:8] in listed.out
    assert "silenced until" in steelyard("alerts", "show", opened[1].alert_id).out
    assert "silenced until" not in steelyard("alerts", "show", opened[2].alert_id).out
    ran = steelyard("alerts", "unsilence", silence["silence_id"][:6], *WHY)
    assert (ran.code, "is over" in ran.err) == (0, True)
    assert silence["silence_id"] not in str(steelyard("alerts", "list", "--json").document["silences"])
    again = steelyard("alerts", "unsilence", silence["silence_id"], *WHY).is_refused(2)
    assert "is over; there is nothing to end" in again


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "nosuch"], "no alert has the id"),
        (["ack", "nosuch", *WHY], "no alert has the id"),
        (["ack", "ab12"], "--reason"),
        (["ack", "ab12", "model=x", *WHY], "ids and matchers"),
        (["ack", "modell=x", *WHY], "did you mean 'model'"),
        (["ack", "ab12", *WHY, "--until", "soon"], "a day is written 2026-12-24"),
        (["ack", "ab12", *WHY, "--until", "2026-13-01"], "is no day"),
        (["silence", "model=*", "--until", "1d", *WHY], "hides every regression"),
        (["silence", "mobilenet", "--until", "1d", *WHY], "is no matcher"),
        (["silence", "model=x", *WHY], "--until"),
        (["silence", "model=x", "--until", "2020-01-01", *WHY], "over before it begins"),
        (["unsilence", "nosuch", *WHY], "no silence has the id"),
        (["close", "ab12", "--as", "accepted", *WHY], "infrastructure"),
        (["list", "--state", "open"], "suspected"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(steelyard, words: list[str], says: str) -> None:
    assert says in steelyard("alerts", *words).is_refused(2)


def test_a_change_that_triage_does_not_allow_is_refused(steelyard, opened: list[Alert]) -> None:
    device, mobilenet, _ = opened
    assert "has no baseline to accept" in steelyard("alerts", "accept", device.alert_id, *WHY).is_refused(2)
    steelyard("alerts", "close", mobilenet.alert_id, *WHY)
    refused = steelyard("alerts", "ack", mobilenet.alert_id, *WHY).is_refused(2)
    assert "was closed as fixed by ada" in refused
    past = steelyard("alerts", "ack", device.alert_id, *WHY, "--until", "2020-01-01").is_refused(2)
    assert "is over already" in past
    nobody = steelyard("alerts", "ack", device.alert_id, "--who", "", "--reason", "x").is_refused(2)
    assert "say who" in nobody


def test_without_alerts_the_list_says_so(steelyard) -> None:
    ran = steelyard("alerts", "list", "--suite", "no-such-suite")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "no alert is open")


def test_a_device_that_is_gone_from_the_series_has_no_baseline_to_accept(
    steelyard, client: Client, opened: list[Alert]
) -> None:
    night = client.nightly.begin("vanished", suite_digest="ab" * 32, suite_text="", started_at=AT).night
    lost = dataclasses.replace(
        opened[1], alert_id="0" * 12, subject=dataclasses.replace(opened[1].subject, suite="vanished")
    )
    client.nightly.alerts.put(night.night_id, [alert_message(lost)])
    refused = steelyard("alerts", "accept", lost.alert_id, *WHY).is_refused(2)
    assert "has no series of mobilenet p50 on pi5" in refused
    assert _state(client, lost) == "confirmed"
