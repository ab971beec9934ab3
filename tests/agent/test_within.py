"""A bound on time that loses no cancellation, in whatever moment it comes."""

from __future__ import annotations

import asyncio

import pytest

from steelyard_agent.within import within


async def test_what_ends_in_time_gives_its_result_or_its_error() -> None:
    async def fail() -> None:
        raise OSError("gone")

    assert await within(asyncio.sleep(0, "done"), 10) == "done"
    with pytest.raises(OSError, match="gone"):
        await within(fail(), 10)


async def test_what_takes_longer_is_cancelled_to_its_end() -> None:
    ended = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    with pytest.raises(asyncio.TimeoutError):
        await within(hang(), 0.01)
    assert ended == [True]


async def test_a_cancellation_in_the_moment_in_which_it_ends_is_not_lost() -> None:
    ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    caller = asyncio.ensure_future(within(ending, 10))
    await asyncio.sleep(0)
    ending.set_result("done")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_cancelled_caller_takes_along_what_it_waits_for() -> None:
    hanging = asyncio.ensure_future(asyncio.Event().wait())
    caller = asyncio.ensure_future(within(hanging, 10))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert hanging.cancelled()
