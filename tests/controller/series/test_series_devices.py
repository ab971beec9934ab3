"""A device's line: what was planted is found, kept until it is accepted, and a healthy device stays silent."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.series.device_judging import SentinelNight, judge_device, judge_nights_of_device, sentinel_figure
from steelyard.series.judgements import DeviceVerdictKind


def sentinels(count: int, *, seed: int = 0, levels: np.ndarray | None = None, ramp: float = 0.0) -> list[SentinelNight]:
    random = np.random.default_rng(seed)
    logs = (np.zeros(count) if levels is None else levels)[:, None] + random.normal(0.0, 0.006, (count, 2))
    starts, ends = (1e6 * np.exp(logs)).T
    return [SentinelNight(start_ns=one, end_ns=other * (1 + ramp)) for one, other in zip(starts, ends, strict=True)]


def test_a_steady_device_has_a_line_in_hardly_any_night() -> None:
    held = [one.holds_back for seed in range(12) for one in judge_nights_of_device("d", sentinels(60, seed=seed))]
    assert np.mean(held) < 0.005


def test_a_jump_is_found_at_once_and_stays_until_it_is_accepted() -> None:
    levels = np.where(np.arange(90) < 30, 0.0, 0.08)
    verdicts = judge_nights_of_device("d", sentinels(90, levels=levels))
    assert not any(one.holds_back for one in verdicts[:30])
    assert {one.kind for one in verdicts[30:]} == {DeviceVerdictKind.DRIFTED}
    assert verdicts[-1].change == pytest.approx(0.083, abs=0.02)
    accepted = judge_device("d", sentinels(90, levels=levels)[30:-1], sentinels(90, levels=levels)[-1])
    assert accepted.kind is DeviceVerdictKind.STEADY


def test_a_slow_drift_is_found_though_every_night_is_like_the_one_before() -> None:
    levels = np.maximum(0.0, np.arange(120) - 40) * 0.001
    verdicts = judge_nights_of_device("d", sentinels(120, levels=levels))
    assert not any(one.holds_back for one in verdicts[:55])
    assert all(one.holds_back for one in verdicts[90:])


def test_heat_within_the_session_is_seen_in_the_end_against_the_start() -> None:
    *past, hot = [*sentinels(30), *sentinels(1, seed=9, ramp=0.12)]
    verdict = judge_device("d", past, hot)
    assert (verdict.kind, verdict.holds_back) == (DeviceVerdictKind.MOVED, True)
    assert verdict.moved == pytest.approx(0.12, abs=0.03)
    assert "ended" in verdict.reason
    assert "slower than it began" in verdict.reason


def test_heat_is_seen_on_the_first_night_too() -> None:
    verdict = judge_device("d", [], SentinelNight(start_ns=1e6, end_ns=1.1e6))
    assert verdict.kind is DeviceVerdictKind.MOVED
    assert judge_device("d", [], SentinelNight(start_ns=1e6, end_ns=1.02e6)).kind is DeviceVerdictKind.UNKNOWN


def test_a_device_that_always_heats_up_alike_is_as_ever() -> None:
    *past, now = sentinels(30, ramp=0.08)
    assert judge_device("d", past, now).kind is DeviceVerdictKind.STEADY


def test_odd_nights_do_not_make_later_drifts_look_usual() -> None:
    levels = np.zeros(31)
    levels[[4, 15]], levels[30] = 0.4, 0.08
    verdicts = judge_nights_of_device("d", sentinels(31, levels=levels))
    assert [night for night, one in enumerate(verdicts) if one.holds_back] in ([15, 30], [4, 15, 30])


def test_a_night_without_a_sentinel_is_unknown_and_tells_nothing_of_others() -> None:
    missing = SentinelNight(start_ns=None, end_ns=None)
    past = [*sentinels(10), missing, *sentinels(5, seed=3)]
    assert judge_device("d", past, missing).kind is DeviceVerdictKind.UNKNOWN
    half = judge_device("d", past, SentinelNight(start_ns=1e6, end_ns=None))
    assert (half.kind, half.moved) == (DeviceVerdictKind.STEADY, None)


def test_the_level_at_a_place_in_the_session_lies_between_its_ends() -> None:
    night = SentinelNight(start_ns=1e6, end_ns=1.21e6)
    assert [night.level_at(place) for place in (0.0, 0.5, 1.0)] == pytest.approx([1e6, 1.1e6, 1.21e6])
    assert SentinelNight(start_ns=None, end_ns=2e6).level_at(0.3) == 2e6
    with pytest.raises(ValueError, match="between 0 and 1"):
        night.level_at(1.5)
    with pytest.raises(ValueError, match="above 0 ns"):
        SentinelNight(start_ns=0.0, end_ns=None)


def test_a_launch_beside_which_something_ran_does_not_move_the_sentinel() -> None:
    assert sentinel_figure([1.0e6, 1.01e6, 1.6e6, 0.99e6, 1.0e6]) == 1.0e6
