"""A job waits for room for a while, says so, and then gives up."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.jobs.room import RoomPatience, RoomWait
from steelyard_agent.state.errors import DiskFullError
from tests.agent.jobs.fakes import Spell


class Waiting:
    """A wait for room that takes no time, and what was told of it."""

    def __init__(self, wait_s: float = 120.0) -> None:
        self.spell = Spell()
        self.told: list[str] = []
        self.failures: list[Exception] = []
        self.room = RoomWait(RoomPatience(wait_s=wait_s, pause=self.spell.pause), self.tell)

    async def tell(self, why: str) -> None:
        self.told.append(why)

    async def attempt(self) -> str:
        if self.failures:
            raise self.failures.pop()
        return "done"


def full() -> DiskFullError:
    return DiskFullError(needed_bytes=20, free_bytes=1, folder=Path("/state"))


async def test_what_finds_room_at_once_waits_for_nothing() -> None:
    waiting = Waiting()
    assert await waiting.room.until_done(waiting.attempt) == "done"
    assert (waiting.told, waiting.spell.pauses_s) == ([], [])


async def test_it_is_tried_again_until_there_is_room_and_each_time_it_is_said_what_for() -> None:
    waiting = Waiting()
    waiting.failures = [full(), full(), full()]
    assert await waiting.room.until_done(waiting.attempt) == "done"
    assert waiting.spell.pauses_s == [1.0, 2.0, 4.0]
    assert len(waiting.told) == 3
    assert waiting.told[0] == f"waiting for room on the disk: {full()}"


async def test_pauses_grow_to_a_quarter_of_a_minute_and_end_with_the_patience() -> None:
    waiting = Waiting(wait_s=45.0)
    waiting.failures = [full() for _ in range(99)]
    with pytest.raises(DiskFullError):
        await waiting.room.until_done(waiting.attempt)
    assert waiting.spell.pauses_s == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


async def test_another_failure_than_a_full_disk_is_not_waited_for() -> None:
    waiting = Waiting()
    waiting.failures = [OSError("the card is gone")]
    with pytest.raises(OSError, match="the card is gone"):
        await waiting.room.until_done(waiting.attempt)
    assert waiting.spell.pauses_s == []


def test_a_wait_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no time to wait"):
        RoomPatience(wait_s=float("nan"))
