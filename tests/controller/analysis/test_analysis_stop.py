"""When a job has measured enough, on planted rounds."""

from __future__ import annotations

import pytest

from steelyard.analysis.duration import estimated_duration_ms
from steelyard.analysis.stop import StopPolicy
from steelyard.analysis.variant_rounds import collect
from steelyard_protocol.v1 import result_pb2
from tests.controller.analysis.planted_rounds import ROUND_NS, latency_rounds, request_of
from tests.controller.analysis.test_analysis_validity import spoil

PAIR = {"original": 2e6, "fast": 1e6}
CRASH = (result_pb2.BLOCK_STATUS_CRASHED, "the worker died")


def policy(labels=tuple(PAIR), **fields: object) -> StopPolicy:
    return StopPolicy.of(request_of(labels, **fields))


def test_the_least_number_of_rounds_is_granted_first() -> None:
    decision = policy().decide([])
    assert not decision.stop
    assert decision.round_count == 6


def test_a_clear_difference_stops_at_the_first_look() -> None:
    decision = policy().decide(latency_rounds(PAIR, 6))
    assert decision.stop
    assert decision.reason == "every verdict was settled after 6 rounds"


def test_between_looks_nothing_is_read_and_the_rest_of_the_look_is_granted() -> None:
    decision = policy().decide(latency_rounds(PAIR, 4))
    assert not decision.stop
    assert decision.round_count == 2


def test_a_difference_that_the_noise_hides_gets_more_rounds() -> None:
    noisy = {"original": 1.03e6, "fast": 1e6}
    decision = policy().decide(latency_rounds(noisy, 6, wobble=0.08))
    assert not decision.stop
    assert decision.round_count == 4


def test_one_model_alone_stops_when_its_interval_is_narrow() -> None:
    quiet = {"original": 1e6}
    rounds = latency_rounds(quiet, 20, wobble=0.001)
    decision = policy(("original",)).decide(rounds)
    assert decision.stop
    assert "widest interval" in decision.reason


def test_one_model_alone_that_is_noisy_goes_on_to_the_most_rounds() -> None:
    noisy = {"original": 1e6}
    assert not policy(("original",)).decide(latency_rounds(noisy, 6, wobble=0.2)).stop
    last = policy(("original",)).decide(latency_rounds(noisy, 40, wobble=0.3))
    assert last.stop
    assert "40 rounds" in last.reason


def test_the_budget_is_device_time_and_cuts_a_grant_short() -> None:
    noisy = {"original": 1.03e6, "fast": 1e6}
    rounds = latency_rounds(noisy, 6, wobble=0.08)
    two_more_ms = (6 + 2) * ROUND_NS // 1_000_000
    assert policy(budget_ms=two_more_ms).decide(rounds).round_count == 2
    spent = policy(budget_ms=6 * ROUND_NS // 1_000_000).decide(rounds)
    assert spent.stop
    assert "budget" in spent.reason


def test_a_verdict_that_a_planned_look_may_not_read_yet_is_read_when_the_budget_ends() -> None:
    # Twice 1.2 % of noise, 4 % of truth: too little for the strict looks at 6 and 10, enough for a last one at 12.
    rounds = latency_rounds({"original": 1.04e6, "fast": 1e6}, 12, wobble=0.02, seed=3)
    open_end = policy()
    short = policy(budget_ms=12 * ROUND_NS // 1_000_000)
    assert not open_end.decide(rounds).stop
    assert short.decide(rounds[:10]).round_count == 2
    assert short.decide(rounds).reason == "every verdict was settled after 12 rounds"
    assert short.look_confidence(rounds).difference < open_end.look_confidence(rounds[:10]).difference


def test_narrow_medians_do_not_end_a_comparison_that_is_still_open() -> None:
    # Known to +-0.5 % each, and 2.5 % apart: neither 2 % are shown nor 3 % ruled out yet.
    rounds = latency_rounds({"original": 1.025e6, "fast": 1e6}, 6, wobble=0.012, seed=2)
    for one in rounds[1:]:
        one.blocks[0].latency_ns[:] = rounds[0].blocks[0].latency_ns
    assert not policy().decide(rounds).stop


def test_the_half_width_that_is_narrow_enough_is_the_requests() -> None:
    rounds = latency_rounds({"original": 1e6}, 6, wobble=0.001)
    assert policy(("original",), target_half_width=0.05).decide(rounds).stop
    assert not policy(("original",), target_half_width=0.001).decide(rounds).stop


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, (0.02, 0.03)),
        ({"minimum_effect": 0.05}, (0.05, 0.05)),
        ({"equivalence_margin": 0.01}, (0.01, 0.01)),
        ({"equivalence_margin": 0.05}, (0.02, 0.05)),
        ({"minimum_effect": 0.01, "equivalence_margin": 0.01}, (0.01, 0.01)),
    ],
)
def test_thresholds_that_are_left_open_follow_the_other_one(
    fields: dict[str, float], wanted: tuple[float, float]
) -> None:
    thresholds = policy(**fields).thresholds
    assert (thresholds.minimum_effect, thresholds.equivalence_margin) == wanted


def extended(rounds: list[result_pb2.RoundResult], earlier: int) -> list[result_pb2.RoundResult]:
    for one in rounds[:earlier]:
        one.job_id = "job-0000"
    return rounds


def test_earlier_rounds_count_and_their_looks_are_paid_for() -> None:
    noisy = {"original": 1.03e6, "fast": 1e6}
    rounds = extended(latency_rounds(noisy, 24, wobble=0.08), 12)
    request = request_of(list(noisy), max_round_count=52)
    longer = StopPolicy.of(request, job_id="job-0001")
    assert longer.decide(rounds[:12]).round_count == 6
    assert longer.decide(rounds[:18]).round_count == 4
    # Of the 1 % an extension may spend 0.16 %.
    assert longer.look_confidence(rounds[:18]).difference > 1 - 0.0016
    fresh = StopPolicy.of(request).look_confidence(rounds)
    assert longer.look_confidence(rounds).difference > fresh.difference


def test_device_time_of_earlier_rounds_is_not_taken_from_the_budget_of_the_new_ones() -> None:
    noisy = {"original": 1.03e6, "fast": 1e6}
    rounds = extended(latency_rounds(noisy, 12, wobble=0.08), 12)
    request = request_of(list(noisy), max_round_count=52, budget_ms=4 * ROUND_NS // 1_000_000)
    assert StopPolicy.of(request, job_id="job-0001").decide(rounds).round_count == 4


def test_on_a_short_budget_the_first_round_comes_alone_and_tells_what_the_others_take() -> None:
    assert policy(budget_ms=600_000).decide([]).round_count == 6
    assert policy(budget_ms=15_000).decide([]).round_count == 1
    slow = latency_rounds(PAIR, 1)
    slow[0].finished_at.FromNanoseconds(slow[0].started_at.ToNanoseconds() + 14_000_000_000)
    decision = policy(budget_ms=15_000).decide(slow)
    assert decision.stop
    assert "budget" in decision.reason


def test_where_waiting_could_eat_the_budget_the_first_round_comes_alone() -> None:
    request = request_of(list(PAIR), budget_ms=600_000)
    request.plan.gate.longest_wait_ms = 200_000
    assert StopPolicy.of(request).decide([]).round_count == 1
    request.plan.gate.longest_wait_ms = 1000
    assert StopPolicy.of(request).decide([]).round_count == 6


def test_a_budget_that_gave_no_valid_round_is_not_overdrawn_to_get_one() -> None:
    rounds = latency_rounds(PAIR, 2)
    spoil(rounds)
    assert not policy(budget_ms=3 * ROUND_NS // 1_000_000).decide(rounds).stop
    decision = policy(budget_ms=2 * ROUND_NS // 1_000_000).decide(rounds)
    assert decision.stop
    assert decision.reason.startswith("none of 2 rounds was valid, and the budget of device time is used up: fast: ")
    assert policy(budget_ms=1).decide(rounds[:1]).reason.startswith("the only round was not valid, and the budget ")


def test_an_extension_whose_budget_gave_no_valid_round_keeps_what_the_earlier_ones_say() -> None:
    rounds = extended(latency_rounds(PAIR, 8), 6)
    spoil(rounds[6:])
    request = request_of(list(PAIR), max_round_count=40, budget_ms=2 * ROUND_NS // 1_000_000)
    decision = StopPolicy.of(request, job_id="job-0001").decide(rounds)
    assert decision.stop


def test_the_first_rounds_come_whatever_the_budget() -> None:
    assert policy(budget_ms=1).decide([]).round_count >= 1


def test_requirements_that_the_intervals_settle_stop_the_job() -> None:
    decision = policy(requirements=["p90<5ms", "speedup>1.5x"]).decide(latency_rounds(PAIR, 6))
    assert decision.stop


def test_a_requirement_on_the_edge_gets_more_rounds() -> None:
    rounds = latency_rounds({"original": 1e6}, 6, wobble=0.05)
    assert not policy(("original",), requirements=["p50<1ms"]).decide(rounds).stop


@pytest.mark.parametrize("requirement", ["accuracy>90%", "drop<1pp", "size<1MB", "energy<1J"])
def test_what_the_evaluation_settles_asks_for_no_more_rounds(requirement: str) -> None:
    noisy = {"original": 1.03e6, "fast": 1e6}
    assert policy(requirements=[requirement]).decide(latency_rounds(noisy, 6, wobble=0.08)).stop


def test_a_variant_that_never_ran_holds_nothing_up() -> None:
    failures = {(index, "fast"): CRASH for index in range(6)}
    rounds = latency_rounds(PAIR, 6, failures=failures, wobble=0.05)
    assert policy().decide(rounds).stop


def test_a_variant_that_ran_in_two_rounds_only_is_not_compared_yet() -> None:
    failures = {(index, "fast"): CRASH for index in range(4)}
    assert not policy().decide(latency_rounds(PAIR, 6, failures=failures, wobble=0.05)).stop


def test_nothing_that_runs_is_nothing_decided() -> None:
    failures = {(index, label): CRASH for index in range(6) for label in PAIR}
    assert not policy().decide(latency_rounds(PAIR, 6, failures=failures)).stop


def test_a_metric_that_compares_artifacts_is_no_figure_of_one() -> None:
    found = collect(latency_rounds(PAIR, 3), list(PAIR))["fast"]
    with pytest.raises(KeyError):
        found.estimate("speedup", size_bytes=1)


def test_a_round_without_an_artifact_is_a_round_that_it_missed() -> None:
    rounds = latency_rounds(PAIR, 3)
    del rounds[1].blocks[1]
    found = collect(rounds, list(PAIR))
    assert [timed.round_index for timed in found["fast"].timed] == [0, 2]
    assert [timed.round_index for timed in found["original"].timed] == [0, 1, 2]


def test_a_failed_block_without_a_sentence_still_has_a_reason() -> None:
    failures = {(0, "fast"): (result_pb2.BLOCK_STATUS_CRASHED, "")}
    found = collect(latency_rounds(PAIR, 1, failures=failures), list(PAIR))["fast"]
    assert found.why_nothing() == "every block failed"


def test_the_estimated_time_grows_with_models_rounds_and_samples() -> None:
    one = estimated_duration_ms(request_of(["original"]), 0)
    two = estimated_duration_ms(request_of(list(PAIR)), 0)
    longer = estimated_duration_ms(request_of(["original"], min_round_count=12), 0)
    evaluated = estimated_duration_ms(request_of(["original"]), 2000)
    assert 0 < one < two
    assert one < longer
    assert evaluated >= one + 2000
