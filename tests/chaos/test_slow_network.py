"""What the long transfer of ``make chaos`` calls good; a tenth of it runs in tests/loopback/test_slow_networks.py."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.slow_network import Travelled


def test_what_was_damaged_or_travelled_twice_does_not_hold() -> None:
    good = Travelled(way="up", size_bytes=1000, sent_bytes=1049, broken_count=1, cut_count=1, wall_s=1.0, verified=True)
    assert good.holds
    assert not replace(good, verified=False).holds
    assert not replace(good, sent_bytes=1050).holds
