"""Histories keep what belongs together, and are freed of what their device did."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.series.device_share import device_share
from steelyard.series.history import history_of, normalised_logs
from steelyard.series.metric_rules import rule_for
from steelyard.series.series_key import SeriesKey
from tests.controller.series.planted_series import key, nights


def test_nights_without_a_value_are_left_out() -> None:
    history = history_of(key(), [3, 4, 7, 8], [1.0, None, 2.0, 3.0], [5.0, 5.0, None, 6.0])
    assert (history.nights.tolist(), history.values.tolist(), history.last_night) == ([3, 7, 8], [1.0, 2.0, 3.0], 8)
    assert np.isnan(history.sentinels[1])


def test_an_accepted_change_begins_a_new_history() -> None:
    history = history_of(key(), [1, 2, 5, 6], [1.0, 1.0, 2.0, 2.0], accepted_night=4)
    assert history.recent().nights.tolist() == [5, 6]
    assert history.up_to(5).recent().nights.tolist() == [5]
    assert history_of(key(), [1, 2], [1.0, 1.0], accepted_night=3).recent().count == 0


def test_texts_are_the_values_of_metrics_that_are_no_numbers() -> None:
    history = history_of(key("output_hash"), [1, 2, 3], [None, None, None], texts=["a", None, "b"])
    assert (history.nights.tolist(), history.texts, history.up_to(1).texts) == ([1, 3], ("a", "b"), ("a",))


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="nights rise"):
        history_of(key(), [2, 1], [1.0, 1.0])
    with pytest.raises(ValueError, match="left out, not NaN"):
        history_of(key(), [1, 2], [1.0, float("nan")])
    with pytest.raises(ValueError, match="a series has a suite"):
        SeriesKey(suite="s", model="", device_id="d", runtime="r", metric="p50")


def test_a_series_that_follows_its_device_is_freed_of_it() -> None:
    device = np.random.default_rng(1).normal(0.0, 0.05, 40)
    freed = normalised_logs(nights(40, device=device, noise=0.01), rule_for("p50"))
    assert np.std(freed) < 0.015
    assert np.std(np.log(nights(40, device=device, noise=0.01).values)) > 0.04


def test_a_series_that_its_device_does_not_touch_keeps_most_of_its_quiet() -> None:
    random = np.random.default_rng(2)
    series, sentinel = random.normal(0.0, 0.003, 28), random.normal(0.0, 0.03, 28)
    assert device_share(series, sentinel) < 0.1
    assert device_share(series[:0], sentinel[:0]) == 1.0


def test_one_night_far_off_does_not_decide_on_the_share() -> None:
    random = np.random.default_rng(3)
    sentinel = random.normal(0.0, 0.02, 28)
    series = sentinel + random.normal(0.0, 0.003, 28)
    series[5], sentinel[9] = 2.0, -1.0
    assert device_share(series, sentinel) == pytest.approx(1.0, abs=0.35)


def test_without_a_sentinel_tonight_the_plain_values_are_compared() -> None:
    history = history_of(key(), [1, 2, 3], [10.0, 20.0, 40.0], [1.0, 2.0, None])
    assert normalised_logs(history, rule_for("p50")).tolist() == pytest.approx(np.log([10.0, 20.0, 40.0]).tolist())
    earlier = normalised_logs(history_of(key(), [1, 2, 3], [10.0, 20.0, 40.0], [1.0, None, 4.0]), rule_for("p50"))
    assert np.isnan(earlier[1])
    assert np.isfinite(earlier[[0, 2]]).all()


def test_memory_is_not_freed_of_the_device_and_a_rate_is_the_other_way_round() -> None:
    device = np.linspace(0.0, 0.5, 30)
    memory = nights(30, device=device, noise=0.0, metric="memory")
    assert np.ptp(normalised_logs(memory, rule_for("memory"))) == pytest.approx(0.5)
    rate = nights(30, device=-device, noise=0.0, metric="throughput")
    inverse = history_of(
        key("throughput"), rate.nights.tolist(), rate.values.tolist(), (1e12 / rate.sentinels).tolist()
    )
    assert np.ptp(normalised_logs(inverse, rule_for("throughput"))) < 0.06
