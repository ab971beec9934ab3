"""Whole nights on simulated devices: what is planted is found, attributed and confirmed, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from steelyard.nightly import running
from steelyard.nightly.night_building import BuiltNight, build_night
from steelyard.nightly.night_findings import Cause, Outcome
from steelyard.nightly.night_report import DeviceState, NightReport, NightVerdict
from steelyard.nightly.triaging import Person, Triage
from tests.controller.nightly.conftest import Shelf

QUIET_NIGHTS = 5


def only_device(shelf: Shelf):
    return next(iter(shelf.fleet.devices.values()))


def test_the_first_night_ever_says_that_there_is_no_history_and_passes(shelf: Shelf) -> None:
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert report.header.night_number == 1
    assert any("first night" in note for note in report.notes)
    assert report.method.hypothesis_count == 0
    outcomes = {outcome for row in report.matrix for outcome, _ in row.counts}
    assert outcomes == {Outcome.NOT_JUDGED}
    assert len(shelf.fleet.submitted("sentinel")) == 2


def test_quiet_nights_confirm_nothing(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    shelf.night()
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert report.regressions == ()
    assert report.devices[0].state is DeviceState.MEASURED
    assert report.method.hypothesis_count > 0


def test_a_slower_model_is_confirmed_the_same_night_and_is_the_models_doing(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    slow = shelf.folder / "slow.onnx"
    shelf.write_model("slow.onnx", seed=5)
    slow.replace(shelf.folder / "keywords.onnx")
    with shelf.fleet.client() as client:
        shelf.fleet.p50_ns[client.add_model(shelf.folder / "keywords.onnx").digest] = 2.2e6
    report = shelf.night()
    assert report.verdict is NightVerdict.REGRESSED
    assert report.exit_code == 1
    (group,) = report.regressions
    assert group.cause is Cause.MODEL
    (finding,) = [one for one in group.findings if one.series.metric == "p50"]
    assert finding.ratio is not None
    assert finding.ratio.low is not None
    assert 1.05 < finding.ratio.low < finding.ratio.value < 1.15
    assert finding.first_bad_night == QUIET_NIGHTS + 1
    assert finding.reproduce.startswith("steelyard compare ")
    assert [one.name for one in finding.environment] == ["artifact"]
    assert len(shelf.fleet.submitted("confirming")) == 1


def test_a_confirmed_regression_stays_one_without_another_confirmation_until_it_is_gone(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    only_device(shelf).runtimes = {"": "1.21.0", "old": "1.20.0"}
    only_device(shelf).runtime_factors = {"1.21.0": 1.1}
    shelf.change(sentinel_runtime="onnxruntime@old")
    first = shelf.night()
    assert first.verdict is NightVerdict.REGRESSED
    count = len(shelf.fleet.submitted("confirming"))
    for _ in range(3):
        assert shelf.night().verdict is NightVerdict.REGRESSED
    assert len(shelf.fleet.submitted("confirming")) == count
    only_device(shelf).runtime_factors = {}
    assert shelf.night().verdict is NightVerdict.PASS
    fixed = shelf.night()
    assert [one.outcome for one in fixed.fixed] == [Outcome.FIXED]
    assert fixed.verdict is NightVerdict.PASS


def test_a_repair_that_makes_it_faster_than_it_ever_was_ends_the_regression(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    only_device(shelf).runtimes = {"": "1.21.0", "old": "1.20.0"}
    only_device(shelf).runtime_factors = {"1.21.0": 1.1}
    shelf.change(sentinel_runtime="onnxruntime@old")
    assert shelf.night().verdict is NightVerdict.REGRESSED
    only_device(shelf).runtime_factors = {"1.21.0": 0.8}
    repaired = shelf.night()
    assert repaired.verdict is NightVerdict.PASS
    (better,) = [one for one in repaired.improved if one.series.metric == "p50"]
    assert better.first_bad_night == QUIET_NIGHTS + 2
    fixed = shelf.night()
    assert fixed.verdict is NightVerdict.PASS
    assert [one.outcome for one in fixed.fixed] == [Outcome.FIXED]
    assert shelf.night().verdict is NightVerdict.PASS


class KilledError(Exception):
    """What stands for the end of the process."""


def killed() -> None:
    raise KilledError


def said_of(report: NightReport) -> list[tuple[object, ...]]:
    lists = (*(group.findings for group in report.regressions), report.fixed, report.known, report.not_reproduced)
    return [(one.series, one.outcome, one.reason, one.ratio) for findings in lists for one in findings]


def test_a_night_that_is_killed_at_its_end_says_the_same_when_it_is_told_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BuiltNight] = []

    def build(*given: Any, **named: Any) -> BuiltNight:
        told.append(build_night(*given, **named))
        return told[-1]

    shelf.nights(QUIET_NIGHTS)
    device = only_device(shelf)
    device.runtimes = {"": "1.21.0", "old": "1.20.0"}
    shelf.change(sentinel_runtime="onnxruntime@old")
    monkeypatch.setattr(running, "build_night", build)
    for factor, verdict in ((1.1, NightVerdict.REGRESSED), (1.0, NightVerdict.PASS), (1.0, NightVerdict.PASS)):
        device.runtime_factors = {"1.21.0": factor}
        shelf.fleet.before_end = killed
        with pytest.raises(KilledError):
            shelf.night()
        shelf.fleet.before_end = lambda: None
        assert shelf.ended().was_resumed
        first, again = (one.report for one in told[-2:])
        assert again.verdict is verdict
        assert said_of(again) == said_of(first)
    assert [one.outcome for one in told[-1].report.fixed] == [Outcome.FIXED]


def test_an_alert_that_somebody_acknowledges_while_the_night_ends_is_told_as_known(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    device = only_device(shelf)
    device.runtimes = {"": "1.21.0", "old": "1.20.0"}
    device.runtime_factors = {"1.21.0": 1.1}
    shelf.change(sentinel_runtime="onnxruntime@old")
    (alert,) = shelf.ended().built.alerts

    def acknowledge() -> None:
        shelf.fleet.before_alerts = lambda: None
        with shelf.fleet.client() as client:
            triage = Triage(client.nightly)
            triage.acknowledge(
                triage.alert(alert.alert_id), Person(who="ada", reason="ticket 41", now=shelf.clock.now())
            )

    shelf.fleet.before_alerts = acknowledge
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert [one.reason for one in report.known] == ["acknowledged by ada: ticket 41"]


def test_what_is_worse_with_nothing_changed_is_watched_until_it_lasts_and_then_waits_for_somebody(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    with shelf.fleet.client() as client:
        shelf.fleet.p50_ns[client.add_model(shelf.folder / "keywords.onnx").digest] = 2.2e6
    for report in (shelf.night(), shelf.night()):
        assert (report.verdict, report.exit_code, report.suspected) == (NightVerdict.PASS, 0, ())
        assert "1 series looks worse with nothing changed, and may be noise" in report.sentence
        (finding,) = report.watched
        assert "measured again tonight it is 2.2" in finding.reason
    again = [shelf.night() for _ in range(3)]
    assert {one.verdict for one in again} == {NightVerdict.INCOMPLETE}
    assert {one.watched for one in again} == {()}
    (finding,) = again[-1].suspected
    assert f"suspected since night {QUIET_NIGHTS + 1}, and somebody must decide" in finding.reason
    assert f"`steelyard alerts ack {finding.alert_id}`" in finding.reason
    with shelf.fleet.client() as client:
        triage = Triage(client.nightly)
        person = Person(who="ada", reason="looked into", now=shelf.clock.now())
        triage.acknowledge(triage.alert(finding.alert_id), person)
    assert shelf.night().verdict is NightVerdict.PASS


def test_what_is_watched_and_gone_leaves_nothing_open(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    with shelf.fleet.client() as client:
        digest = client.add_model(shelf.folder / "keywords.onnx").digest
    shelf.fleet.p50_ns[digest] = 2.2e6
    assert [one.outcome for one in shelf.night().watched] == [Outcome.WATCHED]
    del shelf.fleet.p50_ns[digest]
    reports = [shelf.night(), shelf.night()]
    assert {one.verdict for one in reports} == {NightVerdict.PASS}
    assert {one.watched for one in reports} == {()}
    with shelf.fleet.client() as client:
        assert Triage(client.nightly).alerts(shelf.suite.name) == []


def test_a_slower_runtime_is_told_from_a_slower_model_by_putting_the_old_one_back(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    device = only_device(shelf)
    device.runtimes = {"": "1.21.0", "old": "1.20.0"}
    device.runtime_factors = {"1.21.0": 1.08}
    report = shelf.night()
    assert report.verdict is NightVerdict.REGRESSED
    (group,) = report.regressions
    assert group.cause is Cause.RUNTIME
    (finding,) = group.findings
    assert "--vary env=old,own" in finding.reproduce
    assert any("1.21.0" in str(one.difference.after) for one in report.environment_changes)


def test_what_cannot_be_put_back_is_suspected_and_says_so(shelf: Shelf) -> None:
    shelf.change(sentinel="none")
    shelf.nights(QUIET_NIGHTS)
    device = only_device(shelf)
    device.kernel, device.factor = "6.12.9", 1.1
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert report.exit_code == 3
    (finding,) = report.suspected
    assert "kernel (6.6.31 -> 6.12.9)" in finding.limits
    assert "measured again tonight" in finding.reason
    assert report.regressions == ()


def test_a_device_that_is_itself_slower_has_a_line_and_its_models_have_none(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    only_device(shelf).factor = 1.25
    report = shelf.night()
    assert report.regressions == ()
    assert report.devices[0].state is DeviceState.DRIFTED
    assert report.devices[0].sentinel_change == pytest.approx(0.25, abs=0.03)
    assert not shelf.fleet.submitted("confirming")


def test_a_series_that_jumps_once_is_not_reproduced(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    shelf.fleet.default_p50_ns, usual = 2.3e6, shelf.fleet.default_p50_ns
    shelf.change(sentinel="none")

    def calm_again(_device: str, title: str) -> None:
        if "confirming" in title:
            shelf.fleet.default_p50_ns = usual

    shelf.fleet.before_job = calm_again
    report = shelf.night()
    assert [one.outcome for one in report.not_reproduced] == [Outcome.NOT_REPRODUCED]
    assert report.verdict is NightVerdict.PASS


def test_what_got_better_is_told_for_two_nights_and_confirmed_by_then(shelf: Shelf) -> None:
    shelf.nights(QUIET_NIGHTS)
    shelf.write_model("fast.onnx", seed=6)
    (shelf.folder / "fast.onnx").replace(shelf.folder / "keywords.onnx")
    with shelf.fleet.client() as client:
        shelf.fleet.p50_ns[client.add_model(shelf.folder / "keywords.onnx").digest] = 1.6e6
    first = shelf.night()
    assert first.verdict is NightVerdict.PASS
    (better,) = [one for one in first.improved if one.series.metric == "p50"]
    assert better.ratio is not None
    assert better.ratio.value == pytest.approx(0.8, abs=0.03)
    shelf.night()
    third = shelf.night()
    assert third.improved == ()
    assert third.verdict is NightVerdict.PASS
