"""Durations as people write and read them."""

from __future__ import annotations

import pytest

from steelyard.durations import human_duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"),
        (45.4, "45 s"),
        (89.4, "89 s"),
        (120, "2 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (4200, "1 h 10 min"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words
