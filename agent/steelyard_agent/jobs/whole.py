"""Work on files that is done in a thread and never left half-way: nothing of it may go on beside the next job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


async def run_whole(work: Callable[[], _Result]) -> _Result:
    """Return what ``work`` returns, run in a thread because a flush takes seconds on a slow card.

    Raises:
        asyncio.CancelledError: the caller was cancelled; the work came to its end first.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise
