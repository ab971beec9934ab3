"""The trend note: planted drifts are found, healthy launches stay silent."""

from __future__ import annotations

import numpy as np

from steelyard_agent.worker.trend import mann_kendall_z, trend_note


def test_the_statistic_of_a_strict_rise_is_that_of_the_formula() -> None:
    # S = 45, variance = 10 * 9 * 25 / 18 = 125.
    assert np.isclose(mann_kendall_z(range(10)), 44 / np.sqrt(125))
    assert np.isclose(mann_kendall_z(range(10, 0, -1)), -44 / np.sqrt(125))


def test_no_trend_is_zero() -> None:
    assert mann_kendall_z([5.0] * 10) == 0
    assert mann_kendall_z([1, 2, 2, 1]) == 0


def test_a_planted_drift_is_said_with_its_direction() -> None:
    noise = np.random.default_rng(0).normal(1000, 10, 600)
    rising = (noise * np.linspace(1, 1.2, 600)).astype(int).tolist()
    assert trend_note(rising).startswith("latency was rising")
    assert "falling" in trend_note(rising[::-1])


def test_healthy_launches_are_nearly_all_silent() -> None:
    rng = np.random.default_rng(1)
    spoken = sum(bool(trend_note(rng.lognormal(10, 0.05, 400).astype(int).tolist())) for _ in range(300))
    assert spoken <= 9


def test_few_samples_say_nothing() -> None:
    assert trend_note(list(range(35))) == ""
