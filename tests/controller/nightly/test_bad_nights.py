"""Nights on which something is wrong: each ends, says so in its report, and is never a pass that it should not be."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from steelyard.durations import human_duration
from steelyard.errors import UsageError
from steelyard.nightly.errors import StoppedError
from steelyard.nightly.night_findings import Outcome
from steelyard.nightly.night_report import DeviceState, NightVerdict
from steelyard.nightly.notifying import Notifier
from steelyard.nightly.runs import NightOptions
from steelyard.notify.world import World
from steelyard.suites.suite import DeviceSlot, NightSettings
from steelyard_protocol.v1 import common_pb2
from tests.controller.nightly.conftest import SUITE, Shelf
from tests.support.simulated_fleet import SimulatedDevice

SECOND_MODEL = """
[[model]]
name = "faces"
file = "faces.onnx"
"""


def first(shelf: Shelf) -> SimulatedDevice:
    return next(iter(shelf.fleet.devices.values()))


def test_no_device_at_all_is_incomplete_and_never_a_pass(shelf: Shelf) -> None:
    shelf.fleet.devices.clear()
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert report.exit_code == 3
    assert report.coverage.measured_count == 0
    assert report.coverage.planned_count == 1
    assert report.devices[0].state is DeviceState.OFFLINE
    assert "no device of the controller belongs to tag:rack" in report.devices[0].sentence
    (gap,) = report.coverage.gaps
    assert (gap.code, gap.device, gap.reason) == ("no_device", "tag:rack", report.devices[0].sentence)
    assert "(no device)" in report.sentence


def test_a_device_that_stays_away_is_waited_for_until_the_window_closes_and_is_a_gap(shelf: Shelf) -> None:
    first(shelf).online = False
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert [gap.code for gap in report.coverage.gaps] == ["offline"]
    window = human_duration(shelf.suite.night.window_s)
    assert report.coverage.gaps[0].reason == f"it was not connected while the night's window of {window} was open"
    assert shelf.clock.elapsed_s() >= shelf.suite.night.window_s
    assert shelf.fleet.jobs == []


def test_a_window_of_one_run_is_no_edit_of_the_suite(shelf: Shelf) -> None:
    shelf.night()
    first(shelf).online = False
    report = shelf.night(options=NightOptions(hold_s=60.0, look_s=60.0, window_s=120.0))
    assert "the night's window of 2 min was open" in report.coverage.gaps[0].reason
    assert not any("edited" in note for note in report.notes)


def test_half_the_fleet_offline_leaves_the_other_half_measured_and_the_night_incomplete(shelf: Shelf) -> None:
    away = SimulatedDevice(device_id=f"away-{shelf.suite.name}", name="away", tags=("rack",), online=False)
    shelf.fleet.devices[away.device_id] = away
    # Only the clock of the one that is waited for goes on, and not before the other one is through.
    through = threading.Event()
    shelf.fleet.before_job = lambda _device, _title: len(shelf.fleet.jobs) == 2 and through.set()
    shelf.clock.on_wait = lambda _elapsed_s: through.wait(30.0) and None
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert (report.coverage.measured_count, report.coverage.planned_count) == (1, 2)
    assert {one.device: one.state for one in report.devices}["away"] is DeviceState.OFFLINE


def test_a_device_that_is_back_at_three_is_measured_then(shelf: Shelf) -> None:
    device = first(shelf)
    device.online = False

    def back_after_an_hour(elapsed_s: float) -> None:
        device.online = elapsed_s >= 3600.0

    shelf.clock.on_wait = back_after_an_hour
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert any("60 min after the night began" in note for note in report.devices[0].notes)


def test_a_device_that_is_lost_once_gets_a_second_try(shelf: Shelf) -> None:
    lost = iter([common_pb2.ErrorInfo(reason="device_lost", message="it went away")])
    shelf.fleet.failing = lambda _device, title: next(lost, None) if "keywords" in title else None
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert len(shelf.fleet.submitted("keywords")) == 2


def test_a_device_that_is_lost_again_and_again_is_a_gap_with_the_reason(shelf: Shelf) -> None:
    shelf.fleet.failing = lambda _device, title: (
        common_pb2.ErrorInfo(reason="device_lost", message="it went away") if "keywords" in title else None
    )
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert [(gap.code, gap.reason) for gap in report.coverage.gaps] == [("device_lost", "it went away")]
    assert len(shelf.fleet.submitted("keywords")) == 2


def test_a_device_that_is_removed_meanwhile_is_its_own_gap_and_not_the_nights_end(shelf: Shelf) -> None:
    other = SimulatedDevice(device_id=f"other-{shelf.suite.name}", name="other", tags=("rack",))
    shelf.fleet.devices[other.device_id] = other
    removed = first(shelf)

    def remove(device_id: str, title: str) -> None:
        if "sentinel" in title and device_id == removed.device_id:
            shelf.fleet.devices.pop(device_id)

    shelf.fleet.before_job = remove
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert report.coverage.measured_count == 1
    assert [gap.code for gap in report.coverage.gaps] == ["device_not_found"]
    lines = {one.device: one for one in report.devices}
    assert any("ended early" in note for note in lines[removed.name].notes)


def test_what_a_device_measured_before_it_was_removed_is_recorded(shelf: Shelf) -> None:
    shelf.write_model("faces.onnx", seed=3)
    shelf.reload(SUITE + SECOND_MODEL)
    removed = first(shelf)

    def remove(device_id: str, title: str) -> None:
        if "keywords" in title:
            shelf.fleet.devices.pop(device_id)

    shelf.fleet.before_job = remove
    ended = shelf.ended()
    with shelf.fleet.client() as client:
        points = list(client.nightly.series.night_points(ended.night.night_id))
    told = {one.key.model for one in points if one.key.device_id == removed.device_id and one.HasField("value")}
    assert told == {"(sentinel)", "keywords"}
    assert ended.built.report.coverage.measured_count == 1


def test_a_digest_that_a_run_did_not_live_to_send_is_told_of_the_next_night(shelf: Shelf) -> None:
    shelf.change(notify={"team": {"kind": "webhook", "url": "http://127.0.0.1:9/hook"}})
    notifier = Notifier(shelf.suite, World(environ={}))
    shelf.ended(on_told=notifier.announce)
    (failed,) = shelf.night().failed_notifications
    assert (failed.channel, failed.night_number) == ("team", 1)
    assert failed.reason == "the run ended before it was sent"


def test_a_quarantined_device_is_not_waited_for(shelf: Shelf) -> None:
    first(shelf).quarantined = "the fan is broken"
    report = shelf.night()
    assert report.devices[0].state is DeviceState.QUARANTINED
    assert "the fan is broken" in report.devices[0].sentence
    assert shelf.clock.elapsed_s() < 3600.0


def test_a_model_whose_file_is_gone_is_a_gap_and_the_others_are_measured(shelf: Shelf) -> None:
    shelf.write_model("faces.onnx", seed=3)
    shelf.reload(SUITE + SECOND_MODEL)
    shelf.night()
    (shelf.folder / "faces.onnx").unlink()
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert [(gap.model, gap.code) for gap in report.coverage.gaps] == [("faces", "removed_model")]
    assert report.coverage.measured_count == 1


def test_an_edited_suite_and_a_model_that_left_it_are_lines_of_the_report(shelf: Shelf) -> None:
    shelf.write_model("faces.onnx", seed=3)
    shelf.reload(SUITE + SECOND_MODEL)
    shelf.night()
    shelf.reload(SUITE)
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert any("was edited since night 1" in note for note in report.notes)
    assert any("faces is not in the suite any more" in note for note in report.notes)


def test_a_clock_that_went_back_is_a_line_and_breaks_no_order(shelf: Shelf) -> None:
    shelf.night()
    shelf.clock.set(datetime(2026, 10, 1, tzinfo=timezone.utc))
    report = shelf.night()
    assert report.header.night_number == 2
    assert any("clock" in note and "went back" in note for note in report.notes)


def test_another_time_zone_is_no_change_at_all(shelf: Shelf) -> None:
    shelf.night()
    zone = timezone(timedelta(hours=9))
    shelf.clock.set(shelf.clock.now().astimezone(zone) + timedelta(days=1))
    report = shelf.night()
    assert report.header.started_at.endswith("Z")
    assert not any("went back" in note for note in report.notes)


def test_a_budget_that_holds_only_some_cells_measures_the_others_the_next_night(shelf: Shelf) -> None:
    shelf.write_model("faces.onnx", seed=3)
    shelf.reload(SUITE + SECOND_MODEL)
    tight = NightOptions(hold_s=60.0, look_s=60.0, budget_s=30.0)
    first_night = shelf.night(options=tight)
    second_night = shelf.night(options=tight)
    assert [(gap.model, gap.code) for gap in first_night.coverage.gaps] == [("faces", "rotation")]
    assert [(gap.model, gap.code) for gap in second_night.coverage.gaps] == [("keywords", "rotation")]
    assert first_night.verdict is NightVerdict.PASS


def test_an_interrupted_night_goes_on_without_measuring_finished_cells_again(shelf: Shelf) -> None:
    shelf.write_model("faces.onnx", seed=3)
    shelf.reload(SUITE + SECOND_MODEL)
    stop = threading.Event()

    def stop_at_the_second_model(_device: str, title: str) -> None:
        if "faces" in title:
            stop.set()

    shelf.fleet.before_job = stop_at_the_second_model
    with pytest.raises(StoppedError):
        shelf.night(stop=stop)
    shelf.fleet.before_job = lambda _device, _title: None
    ended = shelf.ended()
    assert ended.was_resumed
    assert ended.night.night_number == 1
    assert ended.built.report.coverage.measured_count == 2
    assert len(shelf.fleet.submitted("keywords")) == 1
    assert len(shelf.fleet.submitted("faces")) == 1


def test_a_confirmation_that_fails_leaves_a_suspicion_with_its_job_and_counts_its_device_time(shelf: Shelf) -> None:
    shelf.nights(6)
    quiet = shelf.night().devices[0].device_minutes
    shelf.write_model("keywords.onnx", seed=5)
    with shelf.fleet.client() as client:
        shelf.fleet.p50_ns[client.add_model(shelf.folder / "keywords.onnx").digest] = 2.2e6
    shelf.fleet.failing = lambda _device, title: (
        common_pb2.ErrorInfo(reason="model_crashed", message="the worker was killed") if "confirming" in title else None
    )
    report = shelf.night()
    (finding,) = [one for one in report.suspected if one.series.metric == "p50"]
    assert finding.reason.endswith("not confirmed: the confirmation did not end well: the worker was killed")
    assert finding.job_id
    assert finding.reproduce.startswith("steelyard compare ")
    assert report.devices[0].device_minutes == pytest.approx(quiet + 10.0 / 60.0)


def test_one_odd_launch_of_the_sentinel_is_no_drift_of_the_device(shelf: Shelf) -> None:
    shelf.nights(6)
    shelf.fleet.odd_launch = lambda title: 1.6 if "sentinel" in title else 1.0
    (line,) = shelf.night().devices
    assert line.state is DeviceState.MEASURED
    assert line.sentinel_change is not None
    assert abs(line.sentinel_change) < 0.03


def test_a_controller_that_is_restarted_meanwhile_is_waited_for(shelf: Shelf) -> None:
    gone_since: list[float] = []

    def gone_for_a_while(elapsed_s: float) -> None:
        shelf.fleet.is_gone = bool(gone_since) and elapsed_s < gone_since[0] + 100.0

    def gone(_device: str, title: str) -> None:
        if "keywords" in title and not gone_since:
            gone_since.append(shelf.clock.elapsed_s())
            shelf.fleet.is_gone = True

    shelf.clock.on_wait = gone_for_a_while
    shelf.fleet.before_job = gone
    report = shelf.night()
    assert report.verdict is NightVerdict.PASS
    assert any("the controller is away" in text for text in shelf.said)


def test_only_a_device_that_the_suite_does_not_name_is_refused(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="none of the suite's devices"):
        shelf.night(options=NightOptions(only=("pi9",)))


def test_a_suite_without_confirmations_leaves_what_got_worse_suspected(shelf: Shelf) -> None:
    shelf.change(night=NightSettings(confirm=False), sentinel="none")
    shelf.nights(5)
    shelf.fleet.default_p50_ns = 2.4e6
    report = shelf.night()
    assert [one.outcome for one in report.suspected] == [Outcome.SUSPECTED]
    assert "no confirmation was run" in report.suspected[0].reason


def test_no_device_time_left_for_a_confirmation_is_said(shelf: Shelf) -> None:
    shelf.change(sentinel="none", devices=(DeviceSlot(name="tag:rack", budget_s=16.0),))
    shelf.nights(5)
    shelf.fleet.default_p50_ns = 2.4e6
    report = shelf.night()
    assert report.verdict is NightVerdict.INCOMPLETE
    assert "no device time was left to confirm it" in report.suspected[0].reason
