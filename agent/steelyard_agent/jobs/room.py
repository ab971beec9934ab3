"""Waiting for room on a full disk: a spell (a log that grows, another program's files) is no reason to end a job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from steelyard_agent.state.errors import DiskFullError

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_FIRST_PAUSE_S = 1.0
_MOST_PAUSE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPatience:
    """How long a job waits for room, in all, each time that it finds none."""

    wait_s: float = 120.0
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    def __post_init__(self) -> None:
        """Refuse a wait that is none."""
        if not self.wait_s >= 0:
            raise ValueError(f"{self.wait_s} s is no time to wait for room")


class RoomWait:
    """One wait for room; ``tell`` hears what for. Pauses are twice as long each time, 15 s at most."""

    def __init__(self, patience: RoomPatience, tell: Callable[[str], Awaitable[None]]) -> None:
        self._patience = patience
        self._tell = tell
        self._waited_s = 0.0
        self._pause_s = _FIRST_PAUSE_S

    async def another(self, why: str) -> bool:
        """Say ``why``, pause, and return True when it is to be tried again; False at once when there was enough."""
        if self._waited_s >= self._patience.wait_s:
            return False
        _log.warning("waiting for room: %s", why)
        await self._tell(f"waiting for room on the disk: {why}")
        await self._patience.pause(self._pause_s)
        self._waited_s += self._pause_s
        self._pause_s = min(_MOST_PAUSE_S, 2 * self._pause_s)
        return True

    async def until_done(self, attempt: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return what ``attempt`` gives, tried again while it finds a full disk.

        Raises:
            DiskFullError: There was no room all the time.
        """
        while True:
            try:
                return await attempt()
            except DiskFullError as error:  # noqa: PERF203 (a pause each time)
                if not await self.another(str(error)):
                    raise
