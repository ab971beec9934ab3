"""What a mode refuses, and how long it is silent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from steelyard_agent.worker import modes
from steelyard_agent.worker.modes import Mode

STATE = {"h": "hn"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "fast"}, "mode 'fast' is none of single-stream, offline"),
        ({"name": modes.PACED}, "rate_hz is 0"),
        ({"name": modes.PACED, "rate_hz": -2.0}, "rate_hz is -2"),
        ({"name": modes.PACED, "rate_hz": math.nan}, "rate_hz is nan"),
        ({"name": modes.PACED, "rate_hz": math.inf}, "rate_hz is inf"),
        ({"name": modes.PACED, "rate_hz": 1e9}, "at most 100000 arrivals"),
        ({"name": modes.MULTI_STREAM}, "stream_count is 0"),
        ({"name": modes.MULTI_STREAM, "stream_count": 1000}, "stream_count is 1000; it is between 1 and 64"),
        ({"name": modes.SUSTAINED}, "duration_ms is 0"),
        ({"name": modes.SUSTAINED, "duration_ms": 10**12}, "duration_ms is 1000000000000"),
        ({"name": modes.SUSTAINED, "duration_ms": 1000, "point_ms": 800}, "point_ms is 800; it is between 100 and"),
        ({"name": modes.SUSTAINED, "duration_ms": 10**6, "point_ms": 100}, "makes more than 720 points"),
        ({"name": modes.STEPWISE, "state_outputs": STATE}, "0 step_counts are given"),
        ({"name": modes.STEPWISE, "step_counts": (1, 16, 16), "state_outputs": STATE}, "1, 16, 16 do not rise"),
        ({"name": modes.STEPWISE, "step_counts": (0, 1), "state_outputs": STATE}, "a step count is 0"),
        ({"name": modes.STEPWISE, "step_counts": (1, 10**6), "state_outputs": STATE}, "a step count is 1000000"),
        ({"name": modes.STEPWISE, "step_counts": tuple(range(1, 30)), "state_outputs": STATE}, "29 step_counts"),
        ({"name": modes.STEPWISE, "step_counts": (1,)}, "needs state_outputs"),
        ({"name": modes.STEPWISE, "step_counts": (1,), "state_outputs": {"h": ""}}, "'h' fed with ''"),
        ({"rate_hz": 5.0}, "rate_hz is given and the mode is single-stream: it belongs to paced"),
        ({"name": modes.OFFLINE, "stream_count": 2}, "stream_count is given and the mode is offline"),
        ({"name": modes.PACED, "rate_hz": 5.0, "state_outputs": STATE}, "state_outputs is given and the mode is paced"),
    ],
)
def test_a_mode_that_makes_no_sense_is_refused_by_name(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Mode(**given)


def test_a_paced_window_lasts_until_there_are_enough_arrivals() -> None:
    assert Mode(name=modes.PACED, rate_hz=20).window_ms(200, 10) == 500
    assert Mode(name=modes.PACED, rate_hz=1000).window_ms(200, 10) == 200


@pytest.mark.parametrize(
    ("rate_hz", "window_ms", "sentence"),
    [(0.001, 200, "10 arrivals at rate_hz 0.001 take 10000 s"), (100_000, 60_000, "more than 1048576 arrivals")],
)
def test_a_rate_that_would_take_hours_or_gigabytes_is_refused(rate_hz: float, window_ms: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Mode(name=modes.PACED, rate_hz=rate_hz).window_ms(window_ms, 10)


def test_the_points_of_a_curve_are_chosen_by_its_length() -> None:
    def chosen_ms(duration_ms: int) -> int:
        return Mode(name=modes.SUSTAINED, duration_ms=duration_ms).curve_point_ms

    assert [chosen_ms(ms) for ms in (1_000, 60_000, 120_000, 1_800_000)] == [500, 1_000, 2_000, 10_000]
    # A day: not more points than a report draws.
    assert 86_400_000 / chosen_ms(86_400_000) <= 720


def test_a_worker_is_silent_as_long_as_its_window_and_not_as_its_curve() -> None:
    assert Mode().silence_ms(200, 10) == 200
    assert Mode(name=modes.PACED, rate_hz=1).silence_ms(200, 10) == 10_000
    assert Mode(name=modes.SUSTAINED, duration_ms=600_000, point_ms=5_000).silence_ms(200, 10) == 5_000
    assert Mode(name=modes.STEPWISE, step_counts=(4,), state_outputs=STATE).silence_ms(60_000, 10) == 0
