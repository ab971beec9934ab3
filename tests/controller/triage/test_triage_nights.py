from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from steelyard.nightly.night_findings import Cause, CauseGroup, Outcome
from steelyard.triage.alert import AlertState
from steelyard.triage.nights import with_causes
from steelyard.triage.tonight import DevicesTonight, DeviceTrouble
from steelyard.triage.transitions import accepted, acknowledged
from tests.controller.triage.findings import finding, series, silence, subject, tell

AT = "2026-11-10T09:00:00Z"


def test_a_confirmed_regression_opens_an_alert_that_says_since_when() -> None:
    night = tell(12, finding(Outcome.CONFIRMED, night=11))
    (alert,) = night.alerts
    assert (alert.state, alert.first_night, alert.last_night) == (AlertState.CONFIRMED, 11, 12)
    assert alert.first_at == "2026-11-11T02:00:00Z"
    assert (alert.last_event.who, alert.last_event.from_state, alert.last_event.night_number) == ("steelyard", None, 12)
    assert night.findings[0].outcome is Outcome.CONFIRMED
    assert night.findings[0].alert_id == alert.alert_id


def test_a_suspicion_that_is_confirmed_on_the_next_night_is_one_alert() -> None:
    first = tell(10, finding(Outcome.SUSPECTED))
    second = tell(11, finding(Outcome.CONFIRMED), alerts=first.alerts)
    (alert,) = second.alerts
    assert alert.alert_id == first.alerts[0].alert_id
    assert [event.to_state for event in alert.events] == [AlertState.SUSPECTED, AlertState.CONFIRMED]
    assert alert.first_night == 10


def test_a_suspicion_that_is_not_reproduced_is_closed() -> None:
    first = tell(10, finding(Outcome.SUSPECTED))
    second = tell(11, finding(Outcome.NOT_REPRODUCED), alerts=first.alerts)
    assert second.alerts[0].state is AlertState.NOT_REPRODUCED
    assert second.open_alerts == ()
    assert second.findings[0].outcome is Outcome.NOT_REPRODUCED


def test_what_was_never_suspected_and_is_not_reproduced_opens_no_alert() -> None:
    assert tell(10, finding(Outcome.NOT_REPRODUCED)).alerts == ()


def test_undecided_stays_undecided_on_a_night_without_a_confirmation() -> None:
    first = tell(10, finding(Outcome.UNDECIDED))
    second = tell(11, finding(Outcome.SUSPECTED), alerts=first.alerts)
    assert second.alerts[0].state is AlertState.UNDECIDED
    assert second.alerts[0].last_night == 11


@pytest.mark.parametrize("outcome", [Outcome.SUSPECTED, Outcome.UNDECIDED])
def test_a_confirmed_regression_stays_one_on_a_night_that_does_not_confirm_it_anew(outcome: Outcome) -> None:
    first = tell(10, finding(Outcome.CONFIRMED, slower=0.05))
    second = tell(11, finding(outcome, slower=0.2), alerts=first.alerts)
    assert second.alerts[0].state is AlertState.CONFIRMED
    (told,) = second.findings
    assert told.outcome is Outcome.CONFIRMED
    assert told.ratio == first.findings[0].ratio
    assert told.reason.startswith("still worse, ")


def test_two_good_nights_fix_a_regression_and_one_does_not() -> None:
    alerts = tell(10, finding(Outcome.CONFIRMED)).alerts
    after_one = tell(11, alerts=alerts, steady=(subject(),))
    assert after_one.alerts[0].is_open
    assert after_one.findings == ()
    after_two = tell(12, alerts=after_one.alerts, steady=(subject(),))
    assert after_two.alerts[0].state is AlertState.FIXED
    (told,) = after_two.findings
    assert (told.outcome, told.reason) == (Outcome.FIXED, "as good as before: 2 good nights in a row")


def test_a_bad_night_between_two_good_ones_fixes_nothing() -> None:
    alerts = tell(10, finding(Outcome.CONFIRMED)).alerts
    alerts = tell(11, alerts=alerts, steady=(subject(),)).alerts
    alerts = tell(12, finding(Outcome.SUSPECTED), alerts=alerts).alerts
    alerts = tell(13, alerts=alerts, steady=(subject(),)).alerts
    assert alerts[0].is_open


def test_a_night_without_a_measurement_neither_fixes_nor_worsens() -> None:
    alerts = tell(10, finding(Outcome.CONFIRMED)).alerts
    assert tell(11, finding(Outcome.NOT_MEASURED), alerts=alerts).alerts == alerts
    assert tell(11, alerts=alerts).alerts == alerts


def test_a_suspicion_that_is_not_seen_again_is_not_reproduced() -> None:
    alerts = tell(10, finding(Outcome.SUSPECTED)).alerts
    for number in (11, 12):
        alerts = tell(number, alerts=alerts, steady=(subject(),)).alerts
    assert alerts[0].state is AlertState.NOT_REPRODUCED


def test_a_night_that_is_told_twice_changes_nothing_the_second_time() -> None:
    before = tell(10, finding(Outcome.CONFIRMED), finding(Outcome.SUSPECTED, series("resnet"))).alerts
    # Offline for two nights, so that the counted good nights are not those since the last bad one.
    before = tell(13, alerts=before, steady=(subject(), subject(series("resnet")))).alerts
    trouble = DevicesTonight(troubles=(DeviceTrouble(device_id="id-pi4", device="pi4", sentence="8 % slower"),))
    inputs: dict[str, Any] = {"steady": (subject(),), "devices": trouble}
    findings = (finding(Outcome.NOT_REPRODUCED, series("resnet")), finding(Outcome.UNDECIDED, series("vit")))
    once = tell(14, *findings, alerts=before, **inputs)
    twice = tell(14, *findings, alerts=once.alerts, **inputs)
    assert twice == once
    assert [alert.state for alert in once.alerts] == [
        AlertState.FIXED,
        AlertState.NOT_REPRODUCED,
        AlertState.CONFIRMED,
        AlertState.UNDECIDED,
    ]


def test_an_acknowledged_regression_is_no_news_again() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED)).alerts
    known = acknowledged(alert, who="ada", reason="ticket 41", at=AT)
    night = tell(11, finding(Outcome.CONFIRMED, slower=0.055), alerts=(known,))
    assert night.alerts[0].state is AlertState.ACKNOWLEDGED
    assert (night.findings[0].outcome, night.findings[0].reason) == (Outcome.KNOWN, "acknowledged by ada: ticket 41")


def test_an_acknowledged_regression_that_gets_worse_is_news() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED, slower=0.05)).alerts
    known = acknowledged(alert, who="ada", reason="ticket 41", at=AT)
    night = tell(11, finding(Outcome.CONFIRMED, slower=0.20), alerts=(known,))
    assert night.alerts[0].state is AlertState.CONFIRMED
    assert night.alerts[0].last_event.reason.startswith("worse than what was acknowledged")
    assert night.findings[0].outcome is Outcome.CONFIRMED


def test_a_suspicion_never_outdoes_an_acknowledgement() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED, slower=0.05)).alerts
    known = acknowledged(alert, who="ada", reason="ticket 41", at=AT)
    night = tell(11, finding(Outcome.SUSPECTED, slower=0.50), alerts=(known,))
    assert night.findings[0].outcome is Outcome.KNOWN


def test_an_acknowledgement_that_ends_gives_the_alert_back() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED)).alerts
    known = acknowledged(alert, who="ada", reason="ticket 41", at=AT, until="2026-11-12T12:00:00Z")
    assert tell(12, finding(Outcome.CONFIRMED), alerts=(known,)).findings[0].outcome is Outcome.KNOWN
    night = tell(13, finding(Outcome.CONFIRMED), alerts=(known,))
    assert night.findings[0].outcome is Outcome.CONFIRMED
    assert night.alerts[0].acknowledged_until == ""
    assert night.alerts[0].last_event.reason == "the acknowledgement until 2026-11-12T12:00:00Z is over"


def test_a_silenced_series_opens_its_alert_and_is_no_news_until_the_silence_ends() -> None:
    quiet = silence("model=mobile*", "device=pi5", until="2026-11-11T00:00:00Z")
    night = tell(10, finding(Outcome.CONFIRMED), finding(Outcome.CONFIRMED, series("resnet")), silences=(quiet,))
    assert [one.outcome for one in night.findings] == [Outcome.KNOWN, Outcome.CONFIRMED]
    assert night.findings[0].reason == "silenced by ada until 2026-11-11T00:00:00Z: the fan is on order"
    assert [alert.state for alert in night.alerts] == [AlertState.CONFIRMED, AlertState.CONFIRMED]
    later = tell(11, finding(Outcome.CONFIRMED), alerts=night.alerts, silences=(quiet,))
    assert later.findings[0].outcome is Outcome.CONFIRMED


def test_what_somebody_closed_during_the_night_is_no_news_of_that_night() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED)).alerts
    meant = accepted(alert, who="ada", reason="a larger model", at=AT)
    night = tell(11, finding(Outcome.CONFIRMED), alerts=(meant,))
    assert night.alerts == (meant,)
    assert (night.findings[0].outcome, night.findings[0].reason) == (
        Outcome.KNOWN,
        "accepted by ada: a larger model",
    )


def test_a_regression_that_comes_back_is_another_alert() -> None:
    (first,) = tell(10, finding(Outcome.CONFIRMED, night=10)).alerts
    (second,) = tell(20, finding(Outcome.CONFIRMED, night=10)).alerts
    assert first.alert_id != second.alert_id


def test_a_device_in_trouble_holds_the_changes_of_its_models_back() -> None:
    trouble = DeviceTrouble(device_id="id-pi5", device="pi5", sentence="the sentinel is 9 % slower than in 12 nights")
    elsewhere = series(device="pi4")
    night = tell(
        10,
        *(finding(Outcome.CONFIRMED, one) for one in (series(), elsewhere)),
        devices=DevicesTonight(troubles=(trouble,)),
    )
    assert [one.outcome for one in night.findings] == [Outcome.DEVICE, Outcome.CONFIRMED]
    assert night.findings[0].reason.endswith(trouble.sentence)
    assert {str(alert.subject) for alert in night.alerts} == {"device pi5", "mobilenet p50 on pi4 under onnxruntime"}


def test_a_device_in_trouble_leaves_alerts_of_before_as_they_were() -> None:
    alerts = tell(9, finding(Outcome.CONFIRMED, night=9)).alerts
    trouble = DevicesTonight(troubles=(DeviceTrouble(device_id="id-pi5", device="pi5", sentence="hot"),))
    for said in ((finding(Outcome.CONFIRMED),), (finding(Outcome.NOT_REPRODUCED),), ()):
        night = tell(10, *said, alerts=alerts, steady=(subject(),), devices=trouble)
        assert night.alerts[0] == alerts[0]


def test_a_device_that_is_steady_again_for_two_nights_ends_its_alert() -> None:
    trouble = DevicesTonight(troubles=(DeviceTrouble(device_id="id-pi5", device="pi5", sentence="hot"),))
    alerts = tell(10, devices=trouble).alerts
    for number in (11, 12):
        night = tell(number, alerts=alerts, devices=DevicesTonight(steady_ids=frozenset({"id-pi5"})))
        alerts = night.alerts
    assert alerts[0].state is AlertState.FIXED
    # A device has no series, and so no finding.
    assert night.findings == ()


def test_the_cause_of_a_group_is_kept_with_its_alerts() -> None:
    night = tell(10, finding(Outcome.CONFIRMED), finding(Outcome.CONFIRMED, series("resnet")))
    group = CauseGroup(cause=Cause.RUNTIME, title="runtime", because="of 1", findings=night.findings[:1])
    assert [alert.cause for alert in with_causes(night.alerts, [group])] == [Cause.RUNTIME, Cause.UNKNOWN]


def test_long_words_of_a_night_are_cut_and_not_refused() -> None:
    told = dataclasses.replace(finding(Outcome.CONFIRMED), reason="x" * 5000)
    alerts = tell(10, dataclasses.replace(told, outcome=Outcome.SUSPECTED)).alerts
    (alert,) = tell(11, told, alerts=alerts).alerts
    assert [len(event.reason) for event in alert.events] == [1000, 1000]
