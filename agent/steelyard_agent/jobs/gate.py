"""The gate between measuring and the link: while a block is timed, nothing else is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QuietGate:
    """Lets one block or one transfer at a time through; first come, first served.

    A message that is small enough to be sent beside an untimed block only waits for ``quiet_over``.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._quiet_over = asyncio.Event()
        self._quiet_over.set()

    @property
    def timing(self) -> bool:
        """True while a timed block runs."""
        return not self._quiet_over.is_set()

    async def quiet_over(self) -> None:
        """Wait until no block is timed."""
        await self._quiet_over.wait()

    @asynccontextmanager
    async def block(self, *, timed: bool) -> AsyncIterator[None]:
        """Run a block inside: no transfer meanwhile, and no message either when it is ``timed``."""
        async with self._turn:
            if timed:
                self._quiet_over.clear()
            try:
                yield
            finally:
                self._quiet_over.set()

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Move bulk data inside: no block starts meanwhile."""
        async with self._turn:
            yield
