"""What systemd hears of the agent, by a socket like its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard_agent.service.notify import ServiceManager, forget_manager, service_manager, told_to_manager


class ListeningManager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(10)
        self.address = address

    def heard(self) -> str:
        return self._socket.recv(4096).decode("utf-8")

    async def hears(self) -> str:
        return await asyncio.to_thread(self.heard)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[ListeningManager]:
    manager = ListeningManager(str(tmp_path / "notify"))
    yield manager
    manager.close()


async def test_ready_then_signs_of_life_then_stopping(listening: ListeningManager) -> None:
    manager = ServiceManager(address=listening.address, watchdog_s=0.02)
    async with told_to_manager(manager, "dials 127.0.0.1:7433"):
        assert await listening.hears() == "READY=1\nSTATUS=dials 127.0.0.1:7433"
        assert await listening.hears() == "WATCHDOG=1"
        assert await listening.hears() == "WATCHDOG=1"
    left = await listening.hears()
    while left == "WATCHDOG=1":
        left = await listening.hears()
    assert left == "STOPPING=1\nSTATUS=stopping"


async def test_without_a_watchdog_no_signs_are_given(listening: ListeningManager) -> None:
    async with told_to_manager(ServiceManager(address=listening.address), "x"):
        await asyncio.sleep(0)
    assert listening.heard().startswith("READY=1")
    assert listening.heard().startswith("STOPPING=1")


def test_an_abstract_socket_is_found(tmp_path: Path) -> None:
    listening = ListeningManager(f"@steelyard-{tmp_path.name}-{id(tmp_path)}")
    try:
        assert ServiceManager(address=listening.address).tell(STATUS="two\nlines")
        assert listening.heard() == "STATUS=two lines"
    finally:
        listening.close()


def test_a_manager_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    assert not ServiceManager(address=str(tmp_path / "gone")).tell(READY="1")


def test_without_a_manager_nothing_is_told() -> None:
    manager = service_manager({}, pid=1)
    assert manager == ServiceManager(address="")
    assert not manager.tell(READY="1")


def test_the_watchdog_of_another_process_is_not_ours() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "7"}
    assert service_manager(environ, pid=8).watchdog_s is None
    assert service_manager(environ, pid=7).watchdog_s == 120.0


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon", "٣"])
def test_a_watchdog_that_makes_no_sense_is_left_out(text: str) -> None:
    assert service_manager({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": text}, pid=1).watchdog_s is None


def test_an_address_that_is_none_is_left_out() -> None:
    assert service_manager({"NOTIFY_SOCKET": "relative"}, pid=1).address == ""


def test_workers_do_not_inherit_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.setenv(name, "1")
    forget_manager()
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)
