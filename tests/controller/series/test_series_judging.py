"""A night becomes a candidate when something was planted, and says why it is none otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from steelyard.series.history import History, history_of
from steelyard.series.judgements import Candidate, NoCandidate, NoCandidateCode, Side
from steelyard.series.judging import judge_night
from steelyard.series.metric_rules import rule_for
from tests.controller.series.planted_series import key, nights

P50 = rule_for("p50")


def code(history: History, metric: str = "p50", night: int | None = None) -> NoCandidateCode:
    judged = judge_night(history, rule_for(metric), night=night)
    assert isinstance(judged, NoCandidate), judged
    assert judged.reason
    return judged.code


def candidate(history: History, metric: str = "p50") -> Candidate:
    judged = judge_night(history, rule_for(metric))
    assert isinstance(judged, Candidate), judged
    return judged


@pytest.mark.parametrize(("effect", "side"), [(0.10, Side.WORSE), (-0.10, Side.BETTER)])
def test_a_planted_change_is_a_candidate_on_its_first_night(effect: float, side: Side) -> None:
    found = candidate(nights(30, effect=effect, since=29))
    assert (found.side, found.night) == (side, 30)
    assert found.change == pytest.approx(effect, abs=0.04)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert ("more" if effect > 0 else "less") in found.reason


def test_of_a_rate_less_is_worse() -> None:
    assert candidate(nights(30, effect=-0.10, since=29, metric="throughput"), "throughput").side is Side.WORSE


def test_most_regressions_of_five_percent_are_candidates_at_once() -> None:
    seen = [
        isinstance(judge_night(nights(40, seed=seed, effect=0.05, since=39), P50), Candidate) for seed in range(200)
    ]
    assert np.mean(seen) > 0.8


def test_a_quiet_series_is_steady_in_most_nights() -> None:
    quiet = [code(nights(40, seed=seed, noise=0.003)) for seed in range(200)]
    assert set(quiet) == {NoCandidateCode.STEADY}
    # In nights that differ by 1.5 % one in six looks like 2 % and more by chance: what is left to confirmations.
    loud = [isinstance(judge_night(nights(40, seed=seed), P50), Candidate) for seed in range(400)]
    assert np.mean(loud) < 0.25


def test_a_change_of_the_device_is_none_of_the_series() -> None:
    device = np.concatenate([np.random.default_rng(77).normal(0.0, 0.01, 39), [0.10]])
    assert code(nights(40, device=device, noise=0.005)) is NoCandidateCode.STEADY


def test_the_first_nights_have_no_history_and_say_so() -> None:
    judged = judge_night(nights(3), P50)
    assert isinstance(judged, NoCandidate)
    assert (judged.code, judged.reason) == (
        NoCandidateCode.NO_HISTORY,
        "no history yet: 2 nights before this one, 5 are needed",
    )
    accepted = judge_night(nights(30, effect=0.5, since=28, accepted_night=29), P50)
    assert isinstance(accepted, NoCandidate)
    assert "since the last accepted change: 1 night before" in accepted.reason


def test_a_night_that_was_not_measured_is_not_judged_by_an_older_one() -> None:
    assert code(nights(30, effect=0.5, since=29), night=31) is NoCandidateCode.NOT_MEASURED
    assert code(history_of(key(), [], [])) is NoCandidateCode.NOT_MEASURED


def test_what_is_too_small_to_matter_is_no_candidate_however_sure() -> None:
    small = nights(30, noise=0.0005, effect=0.015, since=27)
    judged = judge_night(small, P50)
    assert isinstance(judged, NoCandidate)
    assert "below the least that counts: 3 % and 50.0 us" in judged.reason
    # 10 % of 0.2 ms is less than 0.05 ms.
    assert code(nights(30, level=2e5, effect=0.10, since=29)) is NoCandidateCode.STEADY


def test_a_suite_may_ask_for_less() -> None:
    found = judge_night(nights(30, noise=0.0005, effect=0.015, since=27), replace(P50, minimum_effect=0.01))
    assert isinstance(found, Candidate)


def test_a_bad_night_that_is_over_is_no_candidate() -> None:
    history = nights(30, noise=0.004)
    history.values[-2] *= 1.3
    assert code(history) is NoCandidateCode.STEADY


def test_what_has_no_ratio_is_not_compared() -> None:
    history = history_of(key("net_energy"), list(range(10)), [1.0] * 9 + [0.0])
    assert code(history, "net_energy") is NoCandidateCode.NOT_COMPARABLE


def test_exact_metrics_differ_or_do_not() -> None:
    assert code(history_of(key("size"), [1, 2], [5000.0, 5000.0]), "size") is NoCandidateCode.STEADY
    larger = candidate(history_of(key("size"), [1, 2, 3], [5000.0, 5000.0, 5001.0]), "size")
    assert (larger.side, larger.before, larger.after) == (Side.WORSE, 5000.0, 5001.0)
    smaller = candidate(history_of(key("macs"), [1, 2], [100.0, 90.0]), "macs")
    assert (smaller.side, smaller.change) == (Side.BETTER, pytest.approx(-0.1))
    changed = candidate(
        history_of(key("placement"), [4, 5], [None, None], texts=["cpu:12", "cpu:11 gpu:1"]), "placement"
    )
    assert (changed.side, changed.text_before, changed.text_after) == (Side.CHANGED, "cpu:12", "cpu:11 gpu:1")


def test_an_exact_change_stays_one_until_it_is_accepted() -> None:
    values = [5000.0, 5000.0, 6000.0, 6000.0]
    assert candidate(history_of(key("size"), [1, 2, 3, 4], values), "size").before == 5000.0
    accepted = history_of(key("size"), [1, 2, 3, 4], values, accepted_night=3)
    assert code(accepted, "size") is NoCandidateCode.STEADY


@pytest.mark.parametrize(("now", "side"), [(0.918, Side.WORSE), (0.922, Side.BETTER), (0.9201, None)])
def test_an_accuracy_is_a_candidate_from_a_tenth_of_a_point_on(now: float, side: Side | None) -> None:
    judged = judge_night(history_of(key("accuracy"), [1, 2, 3], [0.92, 0.92, now]), rule_for("accuracy"))
    assert (judged.side if isinstance(judged, Candidate) else None) is side
