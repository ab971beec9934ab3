"""What a job that lasts says where nobody looks on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from steelyard.cli import follow as following
from steelyard.cli.follow import follow
from steelyard_protocol.v1 import control_pb2


class LongJob:
    """Tells an event every 20 s of a clock of its own, to the end."""

    job_id = "job"
    estimated_ms = 0

    def __init__(self, event_count: int) -> None:
        self.now = 0.0
        self._event_count = event_count

    def wait(self, on_event: Callable[[control_pb2.JobEvent], None]) -> control_pb2.Job:
        for number in range(self._event_count):
            self.now += 20.0
            on_event(control_pb2.JobEvent(done=number, total=10, message="waits for a quiet machine"))
        return control_pb2.Job(job_id=self.job_id)


def said(job: LongJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr(following, "is_terminal", lambda: False)
    monkeypatch.setattr(following.time, "monotonic", lambda: job.now)
    assert follow(job, "gate").job_id == "job"
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_log_gets_a_line_after_half_a_minute_and_then_one_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(LongJob(6), monkeypatch, capsys) == [
        "gate 10%: waits for a quiet machine",
        "gate 40%: waits for a quiet machine",
    ]


def test_what_ends_soon_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(LongJob(1), monkeypatch, capsys) == []


class Interrupted(LongJob):
    """Is interrupted while it is waited for."""

    def __init__(self, kind: control_pb2.JobKind.ValueType) -> None:
        super().__init__(0)
        self._kind = kind

    def wait(self, on_event: Callable[[control_pb2.JobEvent], None]) -> control_pb2.Job:
        raise KeyboardInterrupt

    def cancel(self) -> control_pb2.Job:
        return control_pb2.Job(job_id="0123456789abcdef", kind=self._kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (control_pb2.JOB_KIND_COMPRESSION, "the same command goes on where it was"),
        (control_pb2.JOB_KIND_MEASUREMENT, "steelyard job show 0123456789ab"),
    ],
)
def test_who_interrupts_hears_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: control_pb2.JobKind.ValueType,
    words: str,
) -> None:
    monkeypatch.setattr(following, "is_terminal", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        follow(Interrupted(kind), "prune", is_announced=True)
    told = " ".join(capsys.readouterr().err.split())
    assert told.endswith(f"cancelled; what it finished is kept: {words}")
    assert "prune" not in told
