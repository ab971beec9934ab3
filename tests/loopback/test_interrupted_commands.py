"""A command that is told to end cancels its job, whatever the job does just then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from steelyard.control.connect import connect
from steelyard.errors import SteelyardError
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2
from tests.support.addresses import free_address
from tests.support.processes import wait_until

Write = Callable[..., Path]
BUSY = (control_pb2.JOB_STATE_GATING, control_pb2.JOB_STATE_RUNNING)


def state_of(settings: Settings) -> control_pb2.JobState.ValueType:
    """Look as another command does, and leave: the controller of the first one would wait for us."""
    try:
        with connect(settings=settings) as guest:
            jobs = guest.jobs()
    except SteelyardError:
        return control_pb2.JOB_STATE_UNSPECIFIED
    return jobs[0].state if jobs else control_pb2.JOB_STATE_UNSPECIFIED


def test_a_command_that_is_told_to_end_cancels_its_job_while_it_waits_for_a_quiet_device(
    tmp_path: Path, model: Write
) -> None:
    settings = Settings(state_directory=tmp_path / "state", agent_listen=free_address())
    flags = ["--state-directory", str(settings.state_directory), "--listen", settings.agent_listen]
    # Hardly any device is ever so idle: its first block waits, and where it does not, it runs.
    words = ["measure", str(model()), "--local", "--max-other-load", "0.000001", "--gate-wait", "5m"]
    # Where coverage is measured in processes of ours, too, it takes TERM for itself.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command_line = [sys.executable, "-m", "steelyard", *flags, *words]
    with subprocess.Popen(command_line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env) as command:
        try:
            # Not earlier: our looking would start a controller of its own.
            wait_until(lambda: (settings.state_directory / "control.sock").exists() or command.poll() is not None)
            wait_until(lambda: state_of(settings) in BUSY or command.poll() is not None, timeout_s=60)
            command.send_signal(signal.SIGTERM)
            _, errors = command.communicate(timeout=60)
        finally:
            command.kill()
    assert command.returncode == 130, errors.decode()
    with connect(settings=settings) as client:
        (job,) = client.jobs()
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_CANCELLED, "cancelled")
