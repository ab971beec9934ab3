"""Steps of a transfer that may take as long as they like, as long as something moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from steelyard.errors import SteelyardError

T = TypeVar("T")

# Twice what an agent waits: it notices first, and resumes; this one sees to those that never come back.
NO_PROGRESS_S: Final = 60.0
# Who waits for a turn hears of it this often: well within the patience of the one who waits.
SIGN_S: Final = 10.0


class StoodStillError(SteelyardError):
    """The other side neither read nor sent for too long."""

    def __init__(self, limit_s: float) -> None:
        super().__init__("stood_still", f"this transfer stood still for {limit_s:g} s; go on from where it stopped")


async def within(step: Awaitable[T], limit_s: float) -> T:
    """Wait for one step of a transfer.

    Raises:
        StoodStillError: It took longer than ``limit_s``; the step is cancelled.
    """
    # Not wait_for: it waits for the cancelled step, which may be a write that nobody will ever read.
    future = asyncio.ensure_future(step)
    try:
        done, _ = await asyncio.wait({future}, timeout=limit_s)
    except asyncio.CancelledError:
        future.cancel()
        raise
    if not done:
        future.cancel()
        raise StoodStillError(limit_s)
    return future.result()


class Turns:
    """A number of places, for those who wait and show while they wait that they are not forgotten.

    Used from one event loop.
    """

    def __init__(self, count: int, *, sign_s: float = SIGN_S) -> None:
        """Let ``count`` in at once; who waits gives a sign every ``sign_s`` seconds."""
        self._places = asyncio.Semaphore(count)
        self._sign_s = sign_s

    async def take(self, sign: Callable[[], Awaitable[None]]) -> None:
        """Wait for a place, calling ``sign`` meanwhile; what it raises ends the waiting."""
        taking: asyncio.Future[Literal[True]] = asyncio.ensure_future(self._places.acquire())
        try:
            while not (await asyncio.wait({taking}, timeout=self._sign_s))[0]:
                await sign()
        except BaseException:
            taking.cancel()
            taking.add_done_callback(self._give_back)
            raise

    def leave(self) -> None:
        """Make room for the next."""
        self._places.release()

    def _give_back(self, taking: asyncio.Future[Literal[True]]) -> None:
        """Let go of a place that came in the very moment in which nobody wanted it any more."""
        if not taking.cancelled() and taking.exception() is None:
            self._places.release()
