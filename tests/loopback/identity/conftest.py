from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.controller import Controller
from steelyard.identity.roles import Role
from steelyard.settings import Settings
from tests.controller.cli.running import Ran, run_command
from tests.support.certificate_holder import Holder, enroll


class MovedClock:
    """The machine's clock, moved by what a test says. TLS itself keeps looking at the real one."""

    def __init__(self) -> None:
        self.moved_s = 0

    def __call__(self) -> int:
        return time.time_ns() + self.moved_s * 1_000_000_000


class Ports:
    """A controller with its ports, and shortcuts for what most tests begin with."""

    def __init__(self, controller: Controller, clock: MovedClock) -> None:
        self.controller = controller
        self.clock = clock
        self.doors = controller.doors
        self.administration = controller.doors.administration

    async def device_code(self, *, uses: int = 1, tags: tuple[str, ...] = (), valid_ms: int = 0) -> str:
        invitation = await self.administration.invite_device(use_count=uses, valid_ms=valid_ms, tags=tags)
        return invitation.code

    async def device(self, name: str = "board") -> Holder:
        return await enroll(await self.device_code(), name=name)

    async def user(self, name: str, role: Role) -> Holder:
        invitation, _ = await self.administration.invite_user(name, role, valid_ms=0)
        return await enroll(invitation.code, device_id="", name=name)


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    clock = MovedClock()
    settings = Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    controller = Controller(settings, clock_ns=clock)
    await controller.start()
    try:
        yield Ports(controller, clock)
    finally:
        await controller.stop()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory; logins go into a folder of this test."""
    for name in ("CI", "STEELYARD_STATE_DIRECTORY", "STEELYARD_CONTROLLER", "STEELYARD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def client(state: Path) -> Iterator[Client]:
    settings = Settings(state_directory=state, agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    with connect(settings=settings) as connected:
        yield connected


def here(state: Path, *words: str) -> Ran:
    """Run a command on the controller's own machine."""
    return run_command("--state-directory", str(state), *words)
