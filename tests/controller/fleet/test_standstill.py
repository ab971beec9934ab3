"""Standing still, and waiting for a turn."""

import asyncio

import pytest

from steelyard.fleet.standstill import StoodStillError, Turns, within


async def _no_sign() -> None:
    """Nobody looks."""


async def test_a_step_that_takes_too_long_is_cancelled_and_says_how_long_it_was_waited_for() -> None:
    step = asyncio.ensure_future(asyncio.Event().wait())
    with pytest.raises(StoodStillError, match=r"0\.01 s"):
        await within(step, 0.01)
    await asyncio.wait({step})
    assert step.cancelled()


async def test_what_a_step_raises_is_raised() -> None:
    async def fail() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        await within(fail(), 5)


async def test_who_waits_for_a_turn_gives_signs_until_somebody_leaves() -> None:
    turns = Turns(1, sign_s=0.001)
    await turns.take(_no_sign)
    signs = 0

    async def sign() -> None:
        nonlocal signs
        signs += 1
        if signs == 3:
            turns.leave()

    await asyncio.wait_for(turns.take(sign), 60)
    assert signs >= 3


async def test_a_place_is_not_lost_with_one_that_stopped_waiting() -> None:
    turns = Turns(1, sign_s=0.001)
    await turns.take(_no_sign)

    async def gone() -> None:
        raise StoodStillError(1)

    with pytest.raises(StoodStillError):
        await turns.take(gone)
    waiting = asyncio.ensure_future(turns.take(_no_sign))
    await asyncio.sleep(0)
    turns.leave()
    # It has the place already, and is cancelled before it knows.
    waiting.cancel()
    await asyncio.wait({waiting})
    if not waiting.cancelled():
        turns.leave()
    await asyncio.wait_for(turns.take(_no_sign), 60)
