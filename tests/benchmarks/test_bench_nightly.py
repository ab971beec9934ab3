"""The simulated fleet has the noise that it is named after, and its nights the truths that were planted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks.nightly import night_tables
from benchmarks.nightly.alarms import over_sentinel, weigh_alarms
from benchmarks.nightly.fleet_noise import NIGHT_ROUNDS, SeriesNoise, autoregression, series_noise, session_rounds
from benchmarks.nightly.fleet_plan import NIGHT_COUNT, DeviceKind, SimulatedDevice, SimulatedSeries, device, kind_of
from benchmarks.nightly.judged_nights import DeviceNights
from benchmarks.nightly.measured_nights import MeasuredNights, confirmation_rounds, measure_nights
from benchmarks.nightly.series_peers import threshold_alarms, window_t_alarms
from benchmarks.nightly.simulated_fleet import FLEET_SEED

from steelyard.series.device_judging import SentinelNight

_PLAIN = SeriesNoise(launch_sd=0.01, wander_sd=0.005, night_sd=0.0, night_memory=0.0)


def test_a_planted_series_nights_differ_by_what_they_should() -> None:
    values = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        noise = series_noise(random, 0.015)
        nights = autoregression(random, 20, noise.night_sd, noise.night_memory)
        values.append(nights + [np.median(session_rounds(random, noise, NIGHT_ROUNDS, 1)) for _ in range(20)])
    deviations = np.std(np.array(values), axis=1, ddof=1)
    # Medians of the rounds here, so that odd launches do not count; one odd session in a hundred does.
    assert np.median(deviations) == pytest.approx(0.015, rel=0.15)


def test_a_confirmation_has_the_launches_and_odd_ones_of_a_night() -> None:
    random = np.random.default_rng(1)
    series = SimulatedSeries(level_ns=2e7, noise=_PLAIN)
    made = device(np.random.default_rng(0), 0)
    logs = [np.log(confirmation_rounds(random, made, series, 5, np.log(1.05), 40)) for _ in range(60)]
    ratios = np.array([one[:, 1] - one[:, 0] for one in logs])
    assert np.median(ratios) == pytest.approx(np.log(1.05), abs=0.002)
    # Two launches of 1 % each; a few are far off.
    assert np.percentile(np.abs(ratios - np.median(ratios)), 68) == pytest.approx(0.0142, rel=0.25)
    assert np.max(np.abs(ratios)) > 0.12


def test_of_fifty_devices_twelve_are_sick_of_three_kinds() -> None:
    kinds = [kind_of(index) for index in range(50)]
    assert [kinds.count(kind) for kind in DeviceKind] == [38, 4, 4, 4]


@pytest.mark.parametrize("index", [3, 7])
def test_a_sick_device_slows_its_sentinel_as_it_does_its_series(index: int) -> None:
    random = np.random.default_rng(4)
    made = device(random, index)
    measured = measure_nights(random, made)
    assert made.planted_night is not None
    levels = [one.level_ns for one in measured.sentinels]
    early = [one for one in levels[: made.planted_night] if one is not None]
    late = [one for one in levels[-8:] if one is not None]
    assert np.median(late) / np.median(early) > 1.03
    plain, freed = measured.values_ns, over_sentinel(measured)
    shifts = [np.nanmedian(values[:, -8:] / np.nanmedian(values[:, :20], axis=1)[:, None]) for values in (plain, freed)]
    assert shifts[0] > 1.03
    assert shifts[1] == pytest.approx(1.0, abs=0.02)


def test_a_device_measures_the_same_every_time() -> None:
    first, second = (
        measure_nights(random, device(random, 0)) for random in (np.random.default_rng([5, 0]) for _ in range(2))
    )
    assert np.array_equal(first.values_ns, second.values_ns, equal_nan=True)
    assert first.sentinels == second.sentinels


def test_a_devices_plants_are_found_and_hardly_anything_else() -> None:
    random = np.random.default_rng([900_100, 0])
    whole = device(random, 0)
    planted = [one for one in whole.series if one.planted_night is not None][:6]
    others = [one for one in whole.series if one.planted_night is None][:8]
    made = replace(whole, series=(*planted, *others))
    nights = DeviceNights(random=random, device=made, measured=measure_nights(random, made))
    nights.judge_all()
    waited = nights.nights_to_find()
    assert len(waited) == len(planted) == 6
    assert sum(one is not None and one <= 2 for one in waited) >= 5
    # One in a hundred is what the confirmations' confidence allows.
    assert nights.counts["confirmed, nothing there"] <= 0.01 * nights.counts["confirmations"]
    assert nights.counts["not_reproduced, nothing there"] > 0.5 * nights.counts["confirmations"]
    assert FLEET_SEED != 900_100


def _by_hand(planted_night: int | None) -> tuple[SimulatedDevice, np.ndarray]:
    series = SimulatedSeries(level_ns=1e7, noise=_PLAIN, planted_night=planted_night)
    nights = np.zeros(NIGHT_COUNT)
    made = SimulatedDevice(
        kind=DeviceKind.HEALTHY,
        planted_night=None,
        levels=nights,
        ramps=nights,
        online=np.ones(NIGHT_COUNT, dtype=np.bool_),
        series=(series,),
    )
    values = np.full((1, NIGHT_COUNT), 1e7)
    if planted_night is not None:
        values[0, planted_night:] *= 1.10
    return made, values


def test_alarms_before_the_plant_are_false_and_the_first_one_after_it_finds_it() -> None:
    made, values = _by_hand(30)
    values[0, 30] = np.nan
    counts = weigh_alarms(made, values, [[12, 32, 40]])
    assert counts == {"quiet": 25, "false": 1, "on sick devices": 0, "ever": 1, "first": 0, "second": 1}
    assert "ever" not in weigh_alarms(made, values, [[12]])


def test_alarms_of_a_sick_device_are_counted_by_themselves() -> None:
    made, values = _by_hand(None)
    sick = SimulatedDevice(
        kind=DeviceKind.JUMPED,
        planted_night=20,
        levels=made.levels,
        ramps=made.ramps,
        online=made.online,
        series=made.series,
    )
    assert weigh_alarms(sick, values, [[19, 20, 50]]) == {"quiet": 15, "false": 1, "on sick devices": 2}


def test_the_plain_ways_see_a_step_once() -> None:
    _, values = _by_hand(30)
    noisy = values[0] * np.exp(np.random.default_rng(0).normal(0.0, 0.002, NIGHT_COUNT))
    assert threshold_alarms(noisy)[0] == 30
    assert window_t_alarms(noisy)[0] in {30, 31, 32}
    noisy[25:33] = np.nan
    assert threshold_alarms(noisy)[0] == 33


def test_values_over_the_sentinel_follow_its_level_in_the_session() -> None:
    measured = MeasuredNights(
        values_ns=np.array([[2.0e6], [2.2e6]]),
        places=np.array([[0.0], [1.0]]),
        sentinels=(SentinelNight(start_ns=1.0e6, end_ns=1.1e6),),
    )
    assert over_sentinel(measured)[:, 0] == pytest.approx([2.0, 2.0])


def _rounds(count: int, **counts: int) -> list[dict[str, Any]]:
    one = {
        "kind": "healthy",
        "planted": 10,
        "nights_to_line": None,
        "counts": {"series-nights": 2000, "device nights, quiet": 58, **counts},
        "found": {"first": 9, "second": 10, "ever": 10},
        "confirmation_s": [60.0],
    }
    return [one] * count


def test_a_target_is_met_only_where_the_whole_interval_is() -> None:
    good = night_tables.target_verdicts(_rounds(50))
    assert [one.split(": ")[1].partition(".")[0] for one in good] == ["met", "met", "met"]
    few = night_tables.target_verdicts(_rounds(1))
    assert "undecided; run more rounds" in few[0]
    bad = night_tables.target_verdicts(_rounds(50, **{"confirmed, nothing there": 3}))
    assert ": missed. Target: at most 1 in 2,000 series-nights; measured 3.00" in bad[0]


def test_a_regression_of_a_sick_devices_model_misses_the_target() -> None:
    sick = {**_rounds(1)[0], "kind": "ramps", "nights_to_line": 2, "planted": 0}
    assert ": met. " in night_tables.sick_verdict([*_rounds(3), sick])
    without = {**sick, "nights_to_line": None}
    assert "missed" in night_tables.sick_verdict([*_rounds(3), sick, without])
    regressed = {**sick, "counts": {"model regressions on sick devices": 1}}
    assert "missed" in night_tables.sick_verdict([*_rounds(3), regressed])
    often = _rounds(3, **{"confirmed, nothing there": 1})
    on_nights = {**sick, "counts": {"device nights, planted": 100}}
    # Three in 6,000 series-nights, of 100 nights with 40 series.
    assert "chance would give 2.0 at the rate" in night_tables.sick_verdict([*often, on_nights])
