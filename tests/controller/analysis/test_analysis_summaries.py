"""Rounds of which the device tells one summed-up value, and rounds that were not valid."""

from __future__ import annotations

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.stop import StopPolicy
from steelyard.analysis.variant_rounds import collect
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds, request_of

PAIR = {"original": 2e6, "fast": 1e6}
BACKGROUND = (result_pb2.BLOCK_STATUS_NOT_VALID, "the worker ran in Android's background cpuset (cores 0-3 only)")


def summed_up(count: int, summary: str = "median") -> list[result_pb2.RoundResult]:
    """Rounds as a phone on a cable sends them: one value a block, that stands for 50 inferences."""
    rounds = latency_rounds(PAIR, count)
    for one in rounds:
        for block in one.blocks:
            value = sorted(block.latency_ns)[len(block.latency_ns) // 2]
            del block.latency_ns[:]
            block.latency_ns.append(value)
            block.latency_summary = summary
            block.sample_count = 50
            block.ClearField("warmup_steady")
    return rounds


@pytest.mark.parametrize("metric", ["p90", "p95", "p99"])
def test_no_percentile_is_made_of_one_value_a_round(metric: str) -> None:
    variant = collect(summed_up(100), list(PAIR))["fast"]
    estimate = variant.estimate(metric, size_bytes=1)
    assert estimate.value is None
    assert estimate.reason == f"{metric} is not measured: the program on the device tells only the median of each round"


def test_the_median_of_each_round_has_an_interval_over_the_rounds() -> None:
    estimate = collect(summed_up(6), list(PAIR))["fast"].estimate("p50", size_bytes=1)
    assert estimate.value == pytest.approx(1e6, rel=0.05)
    assert estimate.has_interval
    assert estimate.observation_count == 6


def test_a_measurement_of_summaries_compares_and_says_what_it_lacks() -> None:
    measurement = build_measurement(given(list(PAIR), summed_up(6)))
    fast = measurement.variants[1]
    assert fast.comparison == measurement_pb2.COMPARISON_VERDICT_FASTER
    assert not fast.p90_latency.HasField("value")
    assert fast.sample_count == 300
    assert len(fast.latency_quantiles_ns) == 0
    assert {one.p90_ns for one in fast.rounds} == {0.0}
    assert all(one.p50_ns > 0 for one in fast.rounds)
    assert not any("steady state" in warning for warning in measurement.warnings), "nobody looked for one"
    assert not any("mean" in warning for warning in measurement.warnings)


def test_a_mean_is_called_a_mean() -> None:
    measurement = build_measurement(given(list(PAIR), summed_up(6, "mean")))
    assert any("fast: p50 is the mean of each round" in warning for warning in measurement.warnings)


def policy(**fields: object) -> StopPolicy:
    return StopPolicy.of(request_of(list(PAIR), **fields))


def test_rounds_that_were_not_valid_are_repeated() -> None:
    rounds = latency_rounds(PAIR, 6, failures={(1, "fast"): BACKGROUND, (4, "original"): BACKGROUND})
    decision = policy().decide(rounds)
    assert not decision.stop
    assert decision.round_count == 2
    assert policy().decide(latency_rounds(PAIR, 8, failures={(1, "fast"): BACKGROUND, (4, "fast"): BACKGROUND})).stop


def test_rounds_that_crashed_are_not_repeated() -> None:
    crash = (result_pb2.BLOCK_STATUS_CRASHED, "it crashed")
    assert policy(max_round_count=6).decide(latency_rounds(PAIR, 6, failures={(1, "fast"): crash})).stop


def test_repeating_has_an_end() -> None:
    rounds = latency_rounds(PAIR, 12, failures={(index, "fast"): BACKGROUND for index in range(12)})
    assert not policy(max_round_count=6).decide(rounds[:3]).stop
    decision = policy(max_round_count=6).decide(rounds[:4])
    assert decision.stop
    assert "4 of 4 rounds were not valid, more than are repeated (3): fast: the worker ran" in decision.reason
    assert not policy(max_round_count=40).decide(latency_rounds(PAIR, 6, failures=failures_in(5))).stop
    many = latency_rounds(PAIR, 40, failures=failures_in(21))
    assert policy(max_round_count=40).decide(many).stop, "half as many again as the rounds that are allowed"


def failures_in(count: int) -> dict[tuple[int, str], tuple[int, str]]:
    return {(index, "original"): BACKGROUND for index in range(count)}


def test_what_was_left_out_is_counted_with_its_reason() -> None:
    rounds = latency_rounds(PAIR, 8, failures={(1, "fast"): BACKGROUND, (4, "fast"): BACKGROUND})
    measurement = build_measurement(given(list(PAIR), rounds))
    assert [one.block_count for one in measurement.variants[1].validity] == [2]
    assert (measurement.round_count, measurement.repeated_round_count) == (6, 2)
    assert any("2 not valid of 8)" in text and "background cpuset" in text for text in measurement.warnings)
