"""A bound on time that loses no cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_Result = TypeVar("_Result")


async def within(doing: Awaitable[_Result], timeout_s: float) -> _Result:
    """Return what ``doing`` gives; it is cancelled with its caller, and when it takes longer than ``timeout_s``.

    ``asyncio.wait_for`` before Python 3.12 swallows a cancellation that comes in the moment in which ``doing`` ends
    (python/cpython#86296): whoever cancelled then waits for a task that goes on for ever.

    Raises:
        asyncio.TimeoutError: It took longer.
    """
    task = asyncio.ensure_future(doing)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            # Looked at, so that asyncio does not report what a cancelled caller does not hear.
            task.exception()
    if not done:
        raise asyncio.TimeoutError
    return task.result()
