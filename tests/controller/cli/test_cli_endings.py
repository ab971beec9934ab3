"""How commands end: each exit code, interruptions, crash reports, closed pipes; and what a terminal sees meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import click
import pytest

from steelyard.cli import follow as following
from steelyard.cli import main
from steelyard.control.client import Client
from steelyard.errors import DeviceError, IncompleteError, SteelyardError, UsageError
from steelyard.store.lock import lock_holder
from steelyard_protocol.v1 import control_pb2, measurement_pb2
from tests.controller.cli.running import Ran, command_line, run_command
from tests.support.addresses import free_address
from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.processes import wait_until


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException | type[BaseException]) -> None:
    """Let `steelyard device list` raise."""

    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr(main.CommandsOnUse, "get_command", lambda *_: broken)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("r", "name another file"), 2),
        (IncompleteError("r", "name another file"), 3),
        (DeviceError("r", "name another file"), 4),
        (SteelyardError("r", "name another file"), 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_of_ours_is_its_exit_code_and_its_sentence(monkeypatch, error: SteelyardError, code: int) -> None:
    raising(monkeypatch, error)
    assert run_command("device").is_refused(code) == "steelyard: name another file"


def test_a_bug_of_ours_is_70_with_a_crash_report_that_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    raising(monkeypatch, ZeroDivisionError("division by zero"))
    line = run_command("device").is_refused(70)
    (report,) = tmp_path.glob("steelyard-crash-*.txt")
    assert str(report) in line
    text = report.read_text()
    assert "ZeroDivisionError: division by zero" in text
    assert "arguments ['device']" in text
    assert text.startswith("steelyard ")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, click.Abort])
def test_an_interruption_is_130(monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]) -> None:
    raising(monkeypatch, interruption)
    ran = run_command("device")
    assert ran.code == 130
    # The empty line that may come first ends the one of the terminal's ^C.
    assert (ran.out, ran.err.strip()) == ("", "interrupted")


def test_ctrl_c_cancels_the_job_and_ends_with_130(client: Client, state: Path, inputs: Path) -> None:
    words = ("--state-directory", state, "measure", inputs / "conv.onnx", "--max-rounds", 500, "--min-rounds", 500)
    known = {job.job_id for job in client.jobs()}

    def started() -> list[control_pb2.Job]:
        running = control_pb2.JOB_STATE_RUNNING
        return [job for job in client.jobs() if job.job_id not in known and job.state == running]

    process = subprocess.Popen(
        command_line(*words, "--local", *ANYWHERE_FLAGS), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            wait_until(started)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            # A failure here must not keep the device from all tests that follow.
            for job in started():
                client.cancel(job.job_id)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "interrupted"
    (job,) = [job for job in client.jobs() if job.job_id not in known]
    assert job.state == control_pb2.JOB_STATE_CANCELLED


def with_nobody_reading(state: Path, *words: object, stream: str = "stdout") -> subprocess.CompletedProcess[str]:
    """Run a command whose output, or whose progress, is a pipe that its reader closed."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    line = command_line("--state-directory", state, *words)
    done = subprocess.run(line, **streams, text=True, timeout=60)  # type: ignore[call-overload]  # streams by name
    os.close(writing)
    return done


@pytest.mark.parametrize(
    "words", [("artifact", "list", "--json"), ("artifact", "list"), ("alerts", "list")], ids=["json", "table", "line"]
)
def test_a_reader_that_went_away_is_no_error(
    client: Client, state: Path, measured: Ran, words: tuple[str, ...]
) -> None:
    done = with_nobody_reading(state, *words)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_verdict_that_nobody_reads_is_no_pass(client: Client, state: Path, tmp_path: Path, stream: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")
    suite = tmp_path / "night.toml"
    suite.write_text(
        '[suite]\nname = "unread"\n[devices]\nnames = ["away"]\n[[model]]\nname = "m"\nfile = "m.onnx"\n',
        encoding="utf-8",
    )
    assert with_nobody_reading(state, "nightly", "run", suite, stream=stream).returncode == 3
    assert with_nobody_reading(state, "nightly", "status", "unread", "--max-age", "1h", stream=stream).returncode == 3


def test_a_served_controller_is_found_until_it_is_told_to_end(tmp_path: Path) -> None:
    address = free_address()
    words = command_line("--state-directory", tmp_path / "served", "--listen", address, "serve")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            wait_until(lambda: (holder := lock_holder(tmp_path / "served")) is not None and holder.socket)
            found = run_command("--state-directory", str(tmp_path / "served"), "job", "list")
            second = run_command("--state-directory", str(tmp_path / "served"), "--listen", address, "serve")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert found.code == 0
    assert str(process.pid) in second.is_refused(4)
    assert process.returncode == 0
    assert out == ""
    assert re.search(r"^controller [0-9a-f]{8} in ", err)
    assert f"steelyard-agent run --controller {address}" in err
    assert "unfinished jobs go on" in err
    assert lock_holder(tmp_path / "served") is None


# -- decisions and codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "required", "failed", "code"),
    [
        ("SHIP", True, False, 0),
        ("SHIP", False, False, 0),
        ("KEEP_ORIGINAL", False, False, 0),
        ("UNMET", True, False, 1),
        ("UNDECIDED", True, False, 3),
        ("INCOMPLETE", True, False, 3),
        ("UNDECIDED", False, False, 0),
        ("SHIP", False, True, 3),
    ],
)
def test_a_gate_hears_what_the_requirements_decide(kind: str, required: bool, failed: bool, code: int) -> None:
    from steelyard.cli.measuring import exit_code

    measurement = measurement_pb2.Measurement()
    measurement.decision.kind = measurement_pb2.DecisionKind.Value(f"DECISION_KIND_{kind}")
    variant = measurement.variants.add(label="original")
    if required:
        variant.requirements.add(requirement="p90<20ms")
    if failed:
        variant.failure.message = "it did not run"
    assert exit_code(measurement) == code


# -- progress -------------------------------------------------------------------------------------------------------


class PlannedHandle:
    """A job that tells ten steps and ends; an interrupted one is interrupted while it is waited for."""

    estimated_ms = 95_000
    step = "round {} [of ten]"

    def __init__(self, *, interrupted: bool = False) -> None:
        self.interrupted = interrupted
        self.cancelled = False

    def wait(self, on_event=None) -> control_pb2.Job:
        for done in range(1, 11):
            if on_event is not None:
                on_event(control_pb2.JobEvent(message=self.step.format(done), done=done, total=10))
        if self.interrupted:
            raise KeyboardInterrupt
        return control_pb2.Job(job_id="job-0001")

    def cancel(self) -> None:
        self.cancelled = True


def test_a_terminal_sees_the_estimate_and_the_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert following.follow(PlannedHandle(), "conv on local").job_id == "job-0001"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "conv on local: about 1 min 35 s" in captured.err
    assert "round 10 [of ten]" in captured.err
    assert "100 %" in captured.err


def test_at_80_columns_what_a_block_waits_for_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "is_terminal", lambda: True)
    monkeypatch.setattr(PlannedHandle, "step", "waiting: others keep 2.01 cores busy, wants {}.10")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    following.follow(PlannedHandle(), "a model with quite a long name of its own on local")
    shown = capsys.readouterr().err
    assert "waiting: others keep 2.01 cores busy, wants 10.10" in shown
    assert re.search(r"\d:\d\d:\d\d", shown)


def test_a_pipe_sees_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    following.follow(PlannedHandle(), "conv on local")
    assert capsys.readouterr() == ("", "")


def test_an_interrupted_wait_cancels_its_job() -> None:
    handle = PlannedHandle(interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        following.follow(handle, "conv on local")
    assert handle.cancelled
