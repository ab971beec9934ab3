"""E-divisive's split and localisation, beside Apache Otava's and ruptures' recorded answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.series.e_divisive import best_splits, split_statistics
from steelyard.series.history import history_of
from steelyard.series.judgements import Candidate
from steelyard.series.judging import judge_night
from steelyard.series.localisation import MOST_P, change_points, first_bad_night, split_p_values
from steelyard.series.metric_rules import rule_for
from tests.controller.series.planted_series import key, nights

# Written by `python -m benchmarks.nightly.record_oracles`, with their versions.
RECORD: dict[str, Any] = json.loads(Path(__file__).with_name("split_oracles.json").read_text())
CASES: list[dict[str, Any]] = RECORD["cases"]


def test_the_record_names_what_answered() -> None:
    assert {"apache-otava", "ruptures"} <= RECORD["versions"].keys()
    assert len(CASES) >= 10


@pytest.mark.parametrize("case", CASES, ids=[f"{len(one['series'])}-{one['planted']}" for one in CASES])
def test_the_best_split_is_apache_otavas(case: dict[str, Any]) -> None:
    index, statistic = case["otava_split"]
    found = best_splits(np.array([case["series"]]), min_size=1)
    assert found.statistics[0] == pytest.approx(statistic, rel=1e-9)
    assert found.indices[0] == index


@pytest.mark.parametrize("case", CASES, ids=[f"{len(one['series'])}-{one['planted']}" for one in CASES])
def test_planted_changes_are_located_where_apache_otava_locates_them(case: dict[str, Any]) -> None:
    found = change_points(np.array(case["series"]))
    assert [one.index for one in found] == case["planted"] == [index for index, _ in case["otava_changes"]]
    for one, (_, p_value) in zip(found, case["otava_changes"], strict=True):
        assert one.p_value <= MOST_P
        # Otava takes the deviations of the whole population, ours are those of a sample: nearly the same test.
        assert np.log(one.p_value) == pytest.approx(np.log(p_value), rel=0.15)


def test_a_single_step_is_where_ruptures_splits_by_least_squares() -> None:
    single = [one for one in CASES if len(one["planted"]) == 1]
    assert len(single) >= 5
    for case in single:
        assert best_splits(np.array([case["series"]])).indices[0] == case["ruptures_split"]


def test_series_split_together_split_as_they_do_alone() -> None:
    series = np.random.default_rng(0).normal(size=(150, 23))
    together = best_splits(series)
    for row, index, statistic in zip(series, together.indices, together.statistics, strict=True):
        alone = best_splits(row[None])
        assert (alone.indices[0], alone.statistics[0]) == (index, statistic)


def test_each_side_of_a_split_has_the_least_size() -> None:
    statistics = split_statistics(np.random.default_rng(0).normal(size=(4, 12)), 3)
    splits, ends = np.arange(3, 10), np.arange(6, 13)
    is_possible = ends[None, :] - splits[:, None] >= 3
    assert np.array_equal(np.isfinite(statistics), np.broadcast_to(is_possible, statistics.shape))
    with pytest.raises(ValueError, match="no two sides of 3 nights"):
        best_splits(np.zeros((2, 5)))


def test_a_series_without_a_change_has_one_located_in_hardly_any_case() -> None:
    random = np.random.default_rng(5)
    wrong = sum(bool(change_points(random.normal(0.0, 0.015, 50))) for _ in range(400))
    # About 1 % of simulated nights; independent normal ones are milder.
    assert wrong <= 6


def test_changes_too_small_to_matter_are_not_located() -> None:
    step = np.concatenate([np.zeros(25), np.full(25, 0.01)]) + np.random.default_rng(0).normal(0.0, 0.001, 50)
    assert [one.index for one in change_points(step)] == [25]
    assert change_points(step, least_size=0.02) == ()


def test_sides_of_equal_values_differ_surely_or_not_at_all() -> None:
    assert split_p_values(np.array([[1.0] * 5 + [2.0] * 5, [1.0] * 10]), 5).tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="no two sides"):
        split_p_values(np.zeros((1, 5)), 5)


@pytest.mark.parametrize(("effect", "since"), [(0.06, 40), (0.10, 46), (0.10, 48), (0.10, 49)])
def test_the_first_bad_night_is_where_the_level_changed(effect: float, since: int) -> None:
    off = []
    for seed in range(20):
        history = nights(50, seed=seed, noise=0.012, effect=effect, since=since)
        found = judge_night(history, rule_for("p50"))
        if isinstance(found, Candidate):
            off.append(abs(first_bad_night(history, rule_for("p50"), found) - (since + 1)))
    assert len(off) >= 18
    # One noisy night beside a change of five deviations and more may be taken for its first one.
    assert sum(one == 0 for one in off) >= 0.75 * len(off)
    assert max(off) <= 3


def test_an_earlier_improvement_is_not_where_a_regression_began() -> None:
    history = nights(50, effect=-0.20, since=20)
    history.values[-1] *= 1.10
    found = judge_night(history, rule_for("p50"))
    assert isinstance(found, Candidate)
    assert first_bad_night(history, rule_for("p50"), found) >= 48


def test_an_exact_metric_is_bad_since_it_has_the_value_that_it_has() -> None:
    history = history_of(key("size"), [1, 2, 5, 6, 9], [10.0, 10.0, 12.0, 12.0, 12.0])
    found = judge_night(history, rule_for("size"))
    assert isinstance(found, Candidate)
    assert first_bad_night(history, rule_for("size"), found) == 5
