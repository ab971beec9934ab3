"""Recording a meter in a thread: what is kept, and that no trouble of a meter gets out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import pytest

from steelyard.control.meter_watch import MeterWatch
from steelyard.errors import UsageError
from steelyard.meters import recorder as recording
from steelyard.meters.contract import Meter, MeterError, MeterFacts, MeterSample, Scope
from steelyard.meters.probe import probe_meter
from steelyard.meters.recorder import Recorder
from steelyard.meters.trace import TraceBuilder, trace_of
from steelyard.store.errors import StoreError
from steelyard_protocol.v1 import control_pb2

FACTS = MeterFacts(description="scripted", scope=Scope.WALL, period_s=0.01)


class Scripted:
    """A meter that does what its script says, reading by reading; then it repeats its last sample a ns later."""

    def __init__(self, *script: Sequence[MeterSample] | BaseException, opens: BaseException | None = None) -> None:
        self.script, self.opens = list(script), opens
        self.closed_count = 0
        self.read_enough = threading.Event()
        self._time_ns = 0

    def open(self) -> MeterFacts:
        if self.opens is not None:
            raise self.opens
        return FACTS

    def read(self) -> Sequence[MeterSample]:
        if not self.script:
            self.read_enough.set()
            return ()
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        self.closed_count += 1


def samples(*times_ns: int) -> list[MeterSample]:
    return [MeterSample(time_ns=time, power_w=2.0) for time in times_ns]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_RETRY_S", 0.01)
    monkeypatch.setattr(recording, "_LEAST_WAIT_S", 0.005)


def recorded(meter: Meter) -> tuple[Recorder, control_pb2.MeterTrace]:
    recorder = Recorder("m", lambda: meter)
    recorder.start()
    recorder.wait_ready(10)
    if isinstance(meter, Scripted) and meter.opens is None:
        assert meter.read_enough.wait(60)
    return recorder, recorder.stop([control_pb2.HeardBlock(label="a")])


def test_what_the_meter_said_is_kept_with_what_it_is() -> None:
    meter = Scripted(samples(1, 2), (), samples(3))
    recorder, trace = recorded(meter)
    assert recorder.reads
    assert trace_of(trace).times_ns.tolist() == [1, 2, 3]
    assert (trace.meter, trace.description, trace.reason, trace.blocks[0].label) == ("m", "scripted", "", "a")
    assert meter.closed_count == 1


def test_a_meter_that_stumbles_is_opened_again_and_its_trouble_noted() -> None:
    meter = Scripted(samples(1), MeterError("meter_silent", "it was away"), samples(5))
    _, trace = recorded(meter)
    assert trace_of(trace).times_ns.tolist() == [1, 5]
    assert trace.reason == "it was away"
    assert meter.closed_count == 2


def test_a_meter_that_is_not_there_leaves_its_reason() -> None:
    recorder, trace = recorded(Scripted(opens=MeterError("meter_silent", "nobody at home")))
    assert not recorder.reads
    assert (trace.reason, len(trace.power_w), trace.description) == ("nobody at home", 0, "")


def test_a_bug_of_a_plugin_costs_its_reading_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    _, trace = recorded(Scripted(opens=ZeroDivisionError("oops")))
    assert trace.reason == "reading it failed by a bug (ZeroDivisionError: oops)"


def test_a_meter_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_STOP_GRACE_S", 0.05)
    hanging, release = threading.Event(), threading.Event()

    class Hanging(Scripted):
        def read(self) -> Sequence[MeterSample]:
            hanging.set()
            release.wait(60)
            return ()

    recorder = Recorder("m", Hanging)
    recorder.start()
    assert hanging.wait(60)
    assert recorder.stop().reason == "the meter did not come back within 0.05 s"
    release.set()


def test_meters_that_hang_share_one_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder("m", Scripted)
    waited_s: list[float | None] = []
    monkeypatch.setattr(recorder._thread, "join", waited_s.append)
    monkeypatch.setattr(recording, "_STOP_GRACE_S", 0.0)
    recorder.end()
    # A grace that began with ``end`` is over by now, however long one that began here would be.
    monkeypatch.setattr(recording, "_STOP_GRACE_S", 3600.0)
    recorder.stop()
    assert waited_s == [0.0]


def test_a_trace_that_is_full_says_that_it_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "TraceBuilder", lambda: TraceBuilder(max_sample_count=2))
    _, trace = recorded(Scripted(samples(1, 2, 3)))
    assert (len(trace.power_w), trace.reason) == (2, "the trace was cut after 2 samples")


# -- the meters of a job --------------------------------------------------------------------------------------------


def clock() -> Iterator[int]:
    now = 100
    while True:
        now += 10
        yield now


async def test_blocks_are_heard_one_after_the_other_and_kept_with_every_trace() -> None:
    kept: list[control_pb2.MeterTrace] = []

    async def keep(trace: control_pb2.MeterTrace) -> None:
        kept.append(trace)

    meters = {"one:": Scripted(samples(1)), "two:": Scripted(opens=MeterError("x", "not there"))}
    watch = MeterWatch(["one:", "two:"], keep=keep, make=lambda url: meters[url])
    assert await watch.start() == ["meter two:: not there"]
    assert watch.any_reads
    watch.round_over()
    for index, label in ((0, "a"), (0, "a"), (0, "b"), (1, "b")):
        watch.heard(index, label)
    watch.round_over()
    watch.round_over()
    await watch.stop()
    await watch.stop()
    assert [trace.meter for trace in kept] == ["one:", "two:"]
    blocks = kept[0].blocks
    assert [(one.round_index, one.label) for one in blocks] == [(0, "a"), (0, "b"), (1, "b")]
    assert all(one.begin_ns <= one.end_ns for one in blocks)
    assert blocks[0].end_ns <= blocks[1].begin_ns


async def test_a_disk_that_is_full_loses_the_trace_not_the_job(caplog: pytest.LogCaptureFixture) -> None:
    async def keep(_trace: control_pb2.MeterTrace) -> None:
        raise StoreError("disk_full", "no room")

    watch = MeterWatch(["one:"], keep=keep, make=lambda _url: Scripted(samples(1)))
    await watch.start()
    await watch.stop()
    assert "no room" in caplog.text


async def test_a_kind_that_vanished_since_the_job_was_submitted_is_a_reason() -> None:
    kept: list[control_pb2.MeterTrace] = []

    async def keep(trace: control_pb2.MeterTrace) -> None:
        kept.append(trace)

    def make(_url: str) -> Meter:
        raise UsageError("unknown_meter", "there is no meter kind 'mine'")

    watch = MeterWatch(["mine:1"], keep=keep, make=make)
    assert await watch.start() == ["meter mine:1: there is no meter kind 'mine'"]
    await watch.stop()
    assert kept[0].reason == "there is no meter kind 'mine'"


# -- trying one -----------------------------------------------------------------------------------------------------


class Steps:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 100_000_000
        return self.now_ns


def test_a_probe_sums_up_what_a_meter_said() -> None:
    said = [[MeterSample(time_ns=n * 10**8, power_w=float(n), energy_j=10.0 + n)] for n in range(1, 5)]
    meter = Scripted(*said)
    found = probe_meter(meter, duration_s=1.0, clock_ns=Steps(), sleep=lambda _s: None)
    assert (found.sample_count, found.rate_hz) == (4, pytest.approx(10.0))
    assert (found.mean_power_w, found.least_power_w, found.most_power_w, found.energy_j) == (2.5, 1.0, 4.0, 14.0)
    assert meter.closed_count == 1


def test_a_probe_of_a_meter_that_says_nothing_or_fails_is_an_error_and_closes_it() -> None:
    for meter, part in (
        (Scripted(), "scripted said nothing in 1 s"),
        (Scripted(opens=MeterError("x", "not there")), "not there"),
    ):
        with pytest.raises(MeterError, match=part):
            probe_meter(meter, duration_s=1.0, clock_ns=Steps(), sleep=lambda _s: None)
        assert meter.closed_count == 1
