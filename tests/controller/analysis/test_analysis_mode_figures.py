"""Figures that depend on the mode, on planted blocks, and requirements on them."""

from __future__ import annotations

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.mode_figures import MODE_FIGURES, first_step, per_step, response, throughput
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds

MEETS, FAILS, UNDECIDED = (
    measurement_pb2.REQUIREMENT_VERDICT_MEETS,
    measurement_pb2.REQUIREMENT_VERDICT_FAILS,
    measurement_pb2.REQUIREMENT_VERDICT_UNDECIDED,
)


def blocks(count: int = 6, **fields: object) -> list[result_pb2.BlockResult]:
    return [result_pb2.BlockResult(**fields) for _ in range(count)]


def test_throughput_counts_the_samples_of_a_batch_over_wall_time() -> None:
    found = throughput(blocks(sample_count=50, batch_size=8, window_ns=200_000_000), 0.95)
    assert (found.value, found.unit, found.observation_count) == (2000.0, "1/s", 6)
    assert throughput(blocks(sample_count=50, window_ns=500_000_000), 0.95).value == 100.0


def test_response_times_are_percentiles_over_rounds_and_refused_below_their_sample_count() -> None:
    many = blocks(response_ns=[1_000_000] * 9 + [5_000_000])
    assert response(many, 50.0, 0.95).value == 1e6
    assert "p90 needs 64 samples in all, there are 60" in response(many, 90.0, 0.95).reason
    assert response(blocks(7, response_ns=[2_000_000] * 10), 90.0, 0.95).value == 2e6


def test_the_first_step_is_apart_from_the_steps_after_it() -> None:
    sequences = [result_pb2.SequenceTiming(step_ns=[9_000, 1_000, 2_000, 3_000])] * 3
    made = blocks(sequences=sequences)
    assert first_step(made, 0.95).value == 9000.0
    assert per_step(made, 0.95).value == 2000.0
    alone = blocks(sequences=[result_pb2.SequenceTiming(step_ns=[9_000])])
    assert per_step(alone, 0.95).value is None


@pytest.mark.parametrize("metric", sorted(MODE_FIGURES))
def test_what_a_mode_does_not_measure_is_unknown_with_a_reason(metric: str) -> None:
    found = MODE_FIGURES[metric](blocks(latency_ns=[1000]), 0.95)
    assert found.value is None
    assert found.reason


def test_requirements_on_throughput_responses_and_steps_are_decided_over_intervals() -> None:
    rounds = latency_rounds({"original": 1e6}, 8)
    for index, one in enumerate(rounds):
        only = one.blocks[0]
        only.sample_count, only.window_ns = 200, 200_000_000 + 1_000_000 * (index % 3)
        only.response_ns.extend([3_000_000 + 10_000 * (index % 2)] * 20)
        only.sequences.add(step_ns=[9_000_000, 1_000_000, 1_010_000])
    wanted = {
        "throughput>500/s": MEETS,
        "throughput>2000": FAILS,
        "response_p90<5ms": MEETS,
        "response_p99<5ms": UNDECIDED,
        "first_step<5ms": FAILS,
        "per_step<2ms": MEETS,
        "p99<5ms": MEETS,
        "net_energy<1mJ": UNDECIDED,
        "build<1s": UNDECIDED,
    }
    measurement = build_measurement(given(["original"], rounds, requirements=list(wanted)))
    outcomes = {one.requirement: one for one in measurement.variants[0].requirements}
    assert {text: one.verdict for text, one in outcomes.items()} == wanted
    assert "p99 needs 662 samples in all, there are 160" in outcomes["response_p99<5ms"].because
    assert outcomes["throughput>500/s"].because.startswith("throughput is 996/s (")
    assert "nothing is compiled on this device" in outcomes["build<1s"].because


def test_a_requirement_on_the_build_is_held_against_the_build_that_was() -> None:
    rounds = latency_rounds({"original": 1e6}, 6)
    made = result_pb2.RoundResult(job_id="job-0001", pass_kind=result_pb2.PASS_PREPARATION)
    made.blocks.add(label="original", status=result_pb2.BLOCK_STATUS_OK, build_ns=3_000_000_000)
    measurement = build_measurement(given(["original"], [made, *rounds], requirements=["build<2s", "build<60s"]))
    assert [one.verdict for one in measurement.variants[0].requirements] == [FAILS, MEETS]


def test_figures_of_the_mode_stand_in_the_message_and_others_are_unset() -> None:
    rounds = latency_rounds({"original": 1e6}, 6)
    for one in rounds:
        one.blocks[0].sample_count, one.blocks[0].window_ns = 200, 200_000_000
    variant = build_measurement(given(["original"], rounds)).variants[0]
    assert variant.throughput.value == 1000.0
    assert variant.p95_latency.HasField("value")
    assert not variant.p99_latency.HasField("value")
    assert "662 samples" in variant.p99_latency.reason
    assert not variant.HasField("p90_response")
    assert not variant.HasField("first_step")
