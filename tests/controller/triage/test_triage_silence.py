from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from steelyard.nightly.night_findings import Outcome
from steelyard.triage.alert import AlertSubject
from steelyard.triage.alert_json import alert_from_json, alert_to_json, silence_from_json, silence_to_json
from steelyard.triage.attention import kept_quiet
from steelyard.triage.errors import TriageError
from steelyard.triage.instants import instant_text, parse_instant
from steelyard.triage.silence import Matcher, Silence, ended, parse_matcher, silence_of
from steelyard.triage.transitions import acknowledged
from tests.controller.triage.findings import finding, series, silence, subject, tell

NOW = datetime(2026, 11, 10, 9, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        ("model=mobilenet", True),
        ("model=mobile*", True),
        ("model=Mobile*", False),
        ("model=mobile", False),
        ("device=pi?", True),
        ("device=id-pi5", True),
        ("device=pi4", False),
        ("runtime=onnx*", True),
        ("metric=p[59]0", True),
        ("suite=phones", True),
        ("suite=boards", False),
    ],
)
def test_a_matcher_fits_by_its_pattern(matcher: str, fits: bool) -> None:
    assert parse_matcher(matcher).matches(subject()) is fits


def test_a_matcher_of_models_is_not_about_devices() -> None:
    device = AlertSubject(suite="phones", device_id="id-pi5", device="pi5")
    assert not parse_matcher("model=*").matches(device)
    assert parse_matcher("device=pi5").matches(device)


@pytest.mark.parametrize("text", ["mobilenet", "modell=x", "=x", "model=", "model", "MODEL=x"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(TriageError) as refused:
        parse_matcher(text)
    assert refused.value.reason == "bad_matcher"


def test_a_misspelt_matcher_names_the_nearest_known_one() -> None:
    with pytest.raises(TriageError, match="did you mean 'device'"):
        Matcher(name="devise", pattern="pi5")


def test_a_silence_fits_when_all_of_it_does() -> None:
    assert silence("model=mobile*", "device=pi5").matches(subject())
    assert not silence("model=mobile*", "device=pi4").matches(subject())


@pytest.mark.parametrize("matchers", [(), ("model=*",), ("model=*", "device=**")])
def test_a_silence_of_everything_is_refused(matchers: tuple[str, ...]) -> None:
    with pytest.raises(TriageError, match="hides every regression"):
        silence(*matchers)


def test_a_silence_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(TriageError, match="over before it begins"):
        silence("model=x", until="2026-11-01T00:00:00Z")


def test_a_silence_ends_by_itself_and_by_hand() -> None:
    quiet = silence("model=x")
    assert quiet.is_active(NOW)
    assert not quiet.is_active(NOW + timedelta(days=30))
    done = ended(quiet, who="bo", reason="the fan is here", now=NOW)
    assert not done.is_active(NOW)
    assert (done.ended_by, done.ended_because, done.ended_at) == ("bo", "the fan is here", "2026-11-10T09:00:00Z")
    with pytest.raises(TriageError, match="is over"):
        ended(done, who="bo", reason="again", now=NOW)


def test_of_several_silences_that_holds_which_lasts_longest() -> None:
    short, long, other = (
        silence("model=mobilenet", until="2026-11-12T00:00:00Z"),
        silence("device=pi5", until="2026-11-30T00:00:00Z"),
        silence("device=pi4", until="2026-12-30T00:00:00Z"),
    )
    assert silence_of(subject(), (short, long, other), NOW) is long
    assert silence_of(subject(series(device="pi3")), (short, long, other), NOW) is short
    assert silence_of(subject(series("x", "y")), (short, long, other), NOW) is None


def test_the_report_says_what_is_kept_quiet_and_what_of_it_ends_soon() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED)).alerts
    known = acknowledged(alert, who="ada", reason="ticket 41", at=instant_text(NOW))
    quiet = silence("model=resnet*", until="2026-11-12T00:00:00Z")
    over = silence("model=vit", until="2026-11-03T00:00:00Z")
    first, second = kept_quiet([known, alert], [over, quiet], NOW)
    assert (first.what, first.until, first.expires_soon) == (
        "silence s1: model=resnet*",
        "2026-11-12T00:00:00Z",
        True,
    )
    assert (second.what, second.who, second.until, second.expires_soon) == (
        "mobilenet p50 on pi5 under onnxruntime",
        "ada",
        "",
        False,
    )


def test_alerts_and_silences_come_back_from_json_as_they_were() -> None:
    (alert,) = tell(10, finding(Outcome.CONFIRMED)).alerts
    known = acknowledged(alert, who="ada", reason="ticket 41", at=instant_text(NOW))
    assert alert_from_json(alert_to_json(known), version=0) == known
    assert alert_from_json(alert_to_json(known), version=7).version == 7
    quiet = silence("model=resnet*")
    assert silence_from_json(silence_to_json(quiet), version=0) == quiet


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"alert_id": 3}', "null", "7", pytest.param("[" * 100_000, id="deep")]
)
def test_what_is_no_alert_is_refused(text: str) -> None:
    with pytest.raises(TriageError) as refused:
        alert_from_json(text, version=1)
    assert refused.value.reason == "bad_alert"


def test_a_silence_from_json_is_checked_as_any_other() -> None:
    text = silence_to_json(silence("model=x")).replace("model", "modle")
    with pytest.raises(TriageError):
        silence_from_json(text, version=1)


@pytest.mark.parametrize("text", ["2026-11-28", "2026-11-28T02:00:00", "yesterday", ""])
def test_times_without_a_zone_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text)


def test_times_of_any_zone_are_kept_in_utc() -> None:
    assert instant_text(parse_instant("2026-11-28T03:30:00+01:30")) == "2026-11-28T02:00:00Z"
    with pytest.raises(ValueError, match="no time zone"):
        instant_text(datetime(2026, 11, 28))  # noqa: DTZ001


def test_a_silence_needs_somebody_and_a_reason() -> None:
    for who, reason in (("", "x"), ("ada", "")):
        with pytest.raises(TriageError):
            Silence(
                silence_id="s",
                matchers=(Matcher(name="model", pattern="x"),),
                created_at="2026-11-02T00:00:00Z",
                created_by=who,
                expires_at="2026-11-03T00:00:00Z",
                reason=reason,
            )
