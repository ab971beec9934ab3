"""The Python of ``.arm-root`` and an agent that runs on it, under emulation, and dials a controller on loopback."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from steelyard.control.client import Client
from steelyard.errors import NotFoundError
from tests.support.processes import wait_until

PROCESSORS = ("cortex-a72", "cortex-a76")
NAME = "emulated-board"
EMULATOR = "qemu-user on x86_64"
_ROOT = Path(__file__).parents[2] / ".arm-root"
# Its start takes some five seconds here; whoever waits longer than this waits for nothing.
_START_TIMEOUT_S = 120.0


def arm_python(processor: str) -> Path:
    """Return the Python that runs on ``processor``, by the script that starts it."""
    script = _ROOT / f"root/usr/bin/python-{processor}"
    assert script.is_file(), f"there is no {script}; run `make test-arm`, which makes it"
    return script


def environment() -> dict[str, str]:
    """Return this environment without what is meant for the Python of these tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE_"))}


def emulators(parent: int | None = None) -> list[psutil.Process]:
    """Return the descendants (of this process by default) that are emulated."""
    return [one for one in psutil.Process(parent).children(recursive=True) if _program(one).startswith("qemu-")]


def _program(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


class EmulatedAgent:
    """One agent with a state directory of its own; it can be killed and started again."""

    def __init__(self, client: Client, folder: Path, processor: str = PROCESSORS[0]) -> None:
        self._client = client
        self._folder = folder
        self._processor = processor
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running agent."""
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        """What all agents started from here logged."""
        return (self._folder / "agent.log").read_text()

    def start(self) -> None:
        """Start the agent and wait until the controller has its description."""
        port = self._client.controller().agent_address.rpartition(":")[2]
        command = [str(arm_python(self._processor)), "-m", "steelyard_agent", "run", "--name", NAME]
        command += ["--controller", f"127.0.0.1:{port}", "--state-directory", str(self._folder / "agent")]
        with (self._folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        wait_until(self._is_online_or_gone, timeout_s=_START_TIMEOUT_S)
        assert self._process.poll() is None, self.log

    def end(self) -> int:
        """Ask the agent to end and return its exit code; kill it when it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self) -> None:
        """End the agent as a power cut would."""
        self.process.kill()
        self.process.wait()

    def _is_online_or_gone(self) -> bool:
        try:
            return self.process.poll() is not None or self._client.device(NAME).online
        except NotFoundError:
            return False
