"""Tells systemd how the service does: ready, alive, stopping, and a line for ``systemctl status``.

The protocol of sd_notify(3): a datagram of ``KEY=VALUE`` lines to the socket that NOTIFY_SOCKET names. Without that
variable nothing is told and nothing fails, so that the same program runs by hand.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceManager:
    """Where to tell, "" for nowhere, and how often a sign of life is due, None for never."""

    address: str
    watchdog_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no address, or an interval that never passes."""
        if self.address and self.address[0] not in "/@":
            raise ValueError(f"{self.address!r} is neither an absolute path nor an abstract socket")
        if self.watchdog_s is not None and not self.watchdog_s > 0:
            raise ValueError(f"a watchdog of {self.watchdog_s} s never passes")

    def tell(self, **fields: str) -> bool:
        """Send fields in one datagram; return whether it was sent. Never raises: a service outlives its manager."""
        if not self.address:
            return False
        text = "\n".join(f"{name}={_one_line(value)}" for name, value in fields.items())
        # "@" stands for the zero byte of Linux's abstract sockets.
        where = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(text.encode("utf-8"), where)
        except OSError as error:
            _log.warning("the service manager was not told %s (%s)", " ".join(fields), error.strerror or error)
            return False
        return True


def service_manager(environ: Mapping[str, str], *, pid: int) -> ServiceManager:
    """Read what systemd said at the start of the process ``pid``; what makes no sense is left out and logged."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address and address[0] not in "/@":
        _log.warning("NOTIFY_SOCKET %r is no address of a socket: systemd is told nothing", address[:100])
        address = ""
    return ServiceManager(address=address, watchdog_s=_watchdog_s(environ, pid) if address else None)


@asynccontextmanager
async def told_to_manager(manager: ServiceManager, status: str) -> AsyncIterator[None]:
    """Say that the service is ready, give signs of life from the event loop, and say at the end that it stops.

    The signs come from the loop that serves the controller: one that hangs gives none. They are not held back while a
    block is timed, as messages of the link are: a block may take longer than the watchdog waits, and one datagram in
    half its interval is less than the timer interrupts of a single second.
    """
    manager.tell(READY="1", STATUS=status)
    living = asyncio.ensure_future(_give_signs(manager))
    try:
        yield
    finally:
        manager.tell(STOPPING="1", STATUS="stopping")
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living


async def _give_signs(manager: ServiceManager) -> None:
    if manager.watchdog_s is None:
        return
    while True:
        manager.tell(WATCHDOG="1")
        # sd_watchdog_enabled(3) recommends half of what the manager waits.
        await asyncio.sleep(manager.watchdog_s / 2)


def forget_manager() -> None:
    """Keep workers, which inherit the environment, from speaking for the service."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        os.environ.pop(name, None)


def _watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    text, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    # Set for the main process alone; a child that inherited it is not watched.
    if not text or (whose and whose != str(pid)):
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        _log.warning("WATCHDOG_USEC %r is no number of microseconds: no sign of life is given", text[:40])
        return None
    return int(text) / 1e6


def _one_line(value: str) -> str:
    return " ".join(value.split())
