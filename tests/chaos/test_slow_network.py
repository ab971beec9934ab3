"""The long transfer of ``make chaos``, a fiftieth of it and run sixteen times as fast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.chaos.slow_network import SHAPE, Travelled, both_ways
from tests.support.shaping_proxy import Shape


async def test_a_blob_goes_both_ways_through_cuts_and_is_whole_at_the_end(tmp_path: Path) -> None:
    speed = 16
    assert SHAPE.rate_bytes_s is not None
    assert SHAPE.cut_every_s is not None
    shape = Shape(rate_bytes_s=SHAPE.rate_bytes_s * speed, cut_every_s=SHAPE.cut_every_s / speed / 2)
    found = await both_ways(tmp_path, size_bytes=2_000_000, shape=shape, chunk_s=0.25 / speed)
    assert [one.way for one in found] == ["down", "up"]
    for one in found:
        assert one.verified
        assert one.broken_count >= 1
        assert one.sent_bytes >= one.size_bytes


def test_what_was_damaged_or_travelled_twice_does_not_hold() -> None:
    good = Travelled(way="up", size_bytes=1000, sent_bytes=1049, broken_count=1, cut_count=1, wall_s=1.0, verified=True)
    assert good.holds
    assert not replace(good, verified=False).holds
    assert not replace(good, sent_bytes=1050).holds
