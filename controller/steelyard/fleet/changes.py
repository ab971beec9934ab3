"""Waking those who wait for a device: something about the fleet changed, look again."""

from __future__ import annotations

import asyncio


class Changes:
    """Counts what changed; used from one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.count = 0

    def tell(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Return once more has changed than ``seen``, or after the time-out."""
        if self.count != seen:
            return
        # Not asyncio.wait_for: see JobInbox.get.
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
