"""What watching costs is said of rounds that hold every watcher, against one that nothing watches."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from benchmarks import sampler_cost
from benchmarks.figures import Figure
from benchmarks.sampler_cost import ALONE, WATCHERS, launch_order, verdict

from steelyard_agent import block_runner
from steelyard_agent.memory_watch import LeastAvailable


def test_every_second_round_is_reversed() -> None:
    assert launch_order(0) == launch_order(2) == WATCHERS
    assert launch_order(1) == WATCHERS[::-1]
    assert [watcher.name for watcher in WATCHERS].count(ALONE) == 1


def test_every_kind_of_source_is_watched_by_somebody(tmp_path: Path) -> None:
    with sampler_cost._fake_device(tmp_path) as sources:
        watched = {
            name: [one for one in sources if one.access in watcher.accesses] for name, watcher in _named().items()
        }
    assert all(found or name in (ALONE, "memory watch") for name, found in watched.items())
    assert {one.access for one in sources} == {access for watcher in WATCHERS for access in watcher.accesses}


def _named() -> dict[str, sampler_cost.Watcher]:
    return {watcher.name: watcher for watcher in WATCHERS}


async def test_the_agents_own_watch_is_off_unless_it_is_measured() -> None:
    usual = block_runner.wait_until_over
    async with sampler_cost._memory_watch(on=False):
        assert block_runner.wait_until_over is not usual
        # As a block calls it.
        watch = asyncio.ensure_future(block_runner.wait_until_over(1, 1, least=LeastAvailable()))
        await asyncio.sleep(0)
        assert not watch.done()
        watch.cancel()
    async with sampler_cost._memory_watch(on=True):
        assert block_runner.wait_until_over is usual
    assert block_runner.wait_until_over is usual


@pytest.mark.parametrize(
    ("low", "high", "count", "words"),
    [
        (0.999, 1.004, 30, "met. Target: below 1 % added; measured 1.0020"),
        (1.011, 1.02, 30, "missed. Target"),
        (0.99, 1.02, 30, "undecided; run more rounds. Target"),
        (0.999, 1.004, 19, "undecided, 19 of at least 20 rounds"),
    ],
)
def test_a_verdict_is_read_off_the_interval(low: float, high: float, count: int, words: str) -> None:
    value = 1.002 if low < 1.002 < high else (low + high) / 2
    assert verdict("files", Figure(value=value, low=low, high=high), count).startswith(f"files: {words}")


def test_a_look_takes_some_time() -> None:
    assert sampler_cost._look_ms() > 0
