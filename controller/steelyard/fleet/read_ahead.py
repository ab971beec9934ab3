"""Chunks that are made in a thread, one ahead of the one that is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator


async def read_ahead(chunks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """Yield what ``chunks`` yields, reading it in a thread; close this generator to close that one.

    Holds two chunks at most. The event loop neither reads a disk nor hashes meanwhile.
    """
    reading = _next(chunks)
    try:
        while True:
            # Not awaited itself: cancelling would let go of a generator that still runs in its thread.
            await asyncio.wait({reading})
            if not (chunk := reading.result()):
                return
            reading = _next(chunks)
            yield chunk
    finally:
        await asyncio.wait({reading})
        # Looked at, or asyncio would complain of an error that nobody wanted to know any more.
        reading.exception()
        chunks.close()


def _next(chunks: Generator[bytes, None, None]) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(asyncio.to_thread(next, chunks, b""))
