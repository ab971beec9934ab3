"""How long an energy window is by itself: what the rules of each source ask for."""

from __future__ import annotations

import pytest

from steelyard_agent.meters.catalog import probe_meters
from steelyard_agent.meters.energy_window import least_energy_window_ms
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.readings import Kind, Scope
from tests.support.fake_sysfs import load_tree


def source(*, least_period_s: float = 0.0, update_period_s: float | None = None) -> PowerSource:
    return PowerSource(
        name="power",
        kind=Kind.SAMPLED,
        scope=Scope.MODULE,
        addresses=("/x",),
        scale=1.0,
        detail="x",
        least_period_s=least_period_s,
        update_period_s=update_period_s,
    )


@pytest.mark.parametrize(
    ("asked", "window_ms"),
    [
        (source(), 10_000),
        (source(least_period_s=0.1), 31_500),
        (source(update_period_s=0.035), 35_000),
        (source(update_period_s=0.1), 60_000),
        (source(update_period_s=2.0), 60_000),
        (source(least_period_s=2.0), 120_000),
    ],
)
def test_a_window_lasts_300_samples_and_1000_updates_within_bounds(asked: PowerSource, window_ms: int) -> None:
    assert least_energy_window_ms([asked]) == window_ms


def test_the_slowest_source_decides_and_without_one_nothing_is_said() -> None:
    assert least_energy_window_ms([source(), source(least_period_s=0.1)]) == 31_500
    assert least_energy_window_ms([]) is None


@pytest.mark.parametrize(
    ("family", "at_least_ms"), [("raspberry_pi_5", 30_000), ("jetson_orin_nano", 10_000), ("raspberry_pi_4b", None)]
)
def test_a_device_says_how_long_its_windows_must_be(tmp_path, family: str, at_least_ms: int | None) -> None:
    least_ms = probe_meters(load_tree(family, tmp_path).system).least_energy_window_ms
    assert least_ms is None if at_least_ms is None else least_ms is not None and least_ms >= at_least_ms
