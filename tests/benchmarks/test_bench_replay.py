"""Replayed comparisons have a planted truth; the benchmark's sentences never claim more than was replayed."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import replay_aa
from benchmarks.launch_noise import Noise, recorded_noise, simulated_noise
from benchmarks.replayed_session import ROUND_S, replay

_QUIET = Noise(name="sd 1 %", sigma=0.01)


def test_a_planted_slowdown_is_found_and_a_model_beside_itself_is_not() -> None:
    random = np.random.default_rng(1)
    assert replay(_QUIET.rounds(random, 40, ratio=1.1), budget_s=60).verdict == "SLOWER"
    assert replay(_QUIET.rounds(random, 40), budget_s=60).verdict == "NO_DIFFERENCE"


def test_the_budget_ends_a_replay_as_it_ends_a_measurement() -> None:
    loud = Noise(name="loud", sigma=0.3)
    assert replay(loud.rounds(np.random.default_rng(2), 40), budget_s=8 * ROUND_S).round_count == 8


def test_recorded_rounds_are_drawn_as_two_launches_of_one_program() -> None:
    recorded = [{"net": {"worker": 2e6 * (1 + 0.01 * (index % 3)), "native": 1e6}} for index in range(12)]
    (noise,) = recorded_noise(recorded)
    drawn = noise.rounds(np.random.default_rng(3), 4000)
    logs = np.log(drawn[:, 0] / drawn[:, 1])
    assert np.mean(logs) == pytest.approx(0.0, abs=0.001)
    assert np.std(logs) == pytest.approx(0.01 * np.std([0, 1, 2]), rel=0.1)


def test_simulated_rounds_have_the_spread_that_they_are_named_after() -> None:
    for noise in simulated_noise():
        drawn = noise.rounds(np.random.default_rng(4), 20_000)
        assert np.std(np.log(drawn[:, 0] / drawn[:, 1])) == pytest.approx(noise.sigma, rel=0.1)


def _rounds(count: int, **words: int) -> list[dict[str, dict[str, dict[str, int]]]]:
    names = [replay_aa.cell(budget_s, 1.0) for budget_s in (replay_aa.SHORT_S, replay_aa.LONG_S)]
    names += [replay_aa.cell(replay_aa.LONG_S, ratio) for ratio in replay_aa.PLANTED]
    return [{replay_aa.QUIET[0]: {name: {**words, "rounds": 100} for name in names}}] * count


def test_the_verdicts_count_what_was_replayed() -> None:
    few = _rounds(1, NO_DIFFERENCE=99, SLOWER=1)
    assert replay_aa.false_verdict(few).startswith("undecided, 200 of 20000 comparisons.")
    good = _rounds(100, NO_DIFFERENCE=100)
    assert replay_aa.false_verdict(good).startswith("met. Target: at most 0.5% of 20,000 A/A comparisons false; 0 of")
    assert replay_aa.settled_verdict(good).endswith("100.0% do.")
    assert replay_aa.found_verdict(good).startswith("missed.")
    bad = _rounds(100, NO_DIFFERENCE=99, SLOWER=1)
    assert replay_aa.false_verdict(bad).startswith("missed.")
    assert replay_aa.settled_verdict(_rounds(100, UNDECIDED=30, NO_DIFFERENCE=70)).startswith("missed.")
