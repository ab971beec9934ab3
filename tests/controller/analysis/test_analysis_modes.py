"""What a measurement says in each mode, from planted rounds."""

from __future__ import annotations

import pytest

from steelyard.analysis.duration import estimated_duration_ms
from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.primary import primary_of
from steelyard.analysis.stop import StopPolicy
from steelyard.stats.percentiles import value_over_rounds
from steelyard_protocol.v1 import common_pb2, measurement_pb2, plan_pb2, result_pb2
from tests.controller.analysis.planted_rounds import digest_of, given, request_of
from tests.support.mode_rounds import (
    OFFLINE,
    PACED,
    STEPWISE,
    STREAMS,
    SUSTAINED,
    heated,
    measured,
    queued,
    rounds_of,
    stepped,
)

PAIR = {"original": 1e6, "fast": 5e5}
FASTER, NO_DIFFERENCE = measurement_pb2.COMPARISON_VERDICT_FASTER, measurement_pb2.COMPARISON_VERDICT_NO_DIFFERENCE


def test_offline_models_are_compared_by_throughput() -> None:
    def batched(block: result_pb2.BlockResult) -> None:
        # As many batches a second, of four times as many samples: the latency of a batch is no different.
        block.batch_size = 4 if block.label == "fast" else 1

    measurement = measured(OFFLINE, {"original": 1e6, "fast": 1e6}, (batched,))
    fast = measurement.variants[1]
    assert measurement.primary_figure == "throughput"
    assert fast.comparison == FASTER
    assert 3.8 < fast.speedup.value < 4.2
    assert fast.throughput.value == pytest.approx(4 * measurement.variants[0].throughput.value, rel=0.05)
    assert "by throughput, faster" in "; ".join(fast.notes)
    assert f"throughput {fast.throughput.value:.0f}/s), but its accuracy" in measurement.decision.sentence


def test_streams_are_compared_by_throughput_whatever_their_latency() -> None:
    measurement = measured(STREAMS, PAIR)
    assert measurement.primary_figure == "throughput"
    assert measurement.variants[1].comparison == FASTER
    assert measurement.variants[1].busy_cores.value == pytest.approx(1.5, rel=1e-6)
    assert measurement.variants[1].busy_cores.unit == "cores"


def test_paced_models_are_compared_by_what_an_arrival_waits_for() -> None:
    measurement = measured(PACED, {"original": 1e6, "fast": 1e6}, (lambda one: queued(one, wait_ns=_wait(one)),))
    original, fast = measurement.variants
    assert measurement.primary_figure == "response p50"
    assert fast.comparison == FASTER
    assert original.p50_response.value == pytest.approx(2e6, rel=0.05)
    assert original.p50_latency.value == pytest.approx(1e6, rel=0.05)
    assert len(fast.response_quantiles_ns) == 101
    assert fast.missed.value == 0.0
    assert not fast.p99_response.reason
    few = measured(PACED, PAIR, (queued,), count=3).variants[0]
    assert "662 samples in all, there are 300" in few.p99_response.reason


def _wait(block: result_pb2.BlockResult) -> int:
    return 100_000 if block.label == "fast" else 1_000_000


def test_responses_of_arrivals_that_never_began_are_not_said() -> None:
    measurement = measured(PACED, PAIR, (lambda one: queued(one, missed_count=20),))
    only = measurement.variants[0]
    assert only.missed.value == pytest.approx(20 / 120)
    assert "falls among arrivals that never began (160 of 960)" in only.p90_response.reason
    # Half of the arrivals did begin, later than they would have without those that did not.
    assert only.p50_response.value > 1.2e6
    lost = measured(PACED, PAIR, (lambda one: queued(one, missed_count=200),))
    assert not lost.variants[0].p50_response.HasField("value")
    assert lost.variants[1].comparison == measurement_pb2.COMPARISON_VERDICT_UNSPECIFIED


def test_a_curve_says_how_much_slower_it_ends_and_what_the_heat_did() -> None:
    measurement = measured(SUSTAINED, {"original": 1e6}, (heated,), count=3)
    (only,) = measurement.variants
    assert measurement.primary_figure == "p50 of the last quarter"
    assert only.curve_start.value == pytest.approx(1e6, rel=0.05)
    assert only.curve_end.value == pytest.approx(1.25e6, rel=0.05)
    assert only.curve_slowdown.value == pytest.approx(0.25, abs=0.01)
    assert len(only.curve) == 60
    (note,) = [note for note in only.notes if "last quarter" in note]
    assert note.startswith("the last quarter of the curve is 25.0 % slower than the first")
    assert note.endswith("temperature went from 45.0 to 80.0 C, clock from 2.40 to 1.80 GHz")


def test_a_curve_without_heat_says_that_none_was_read_and_one_that_throttled_why() -> None:
    def throttled(block: result_pb2.BlockResult) -> None:
        heated(block, with_heat=False, slowdown=1.0)
        block.throttle.verdict = result_pb2.THROTTLE_VERDICT_YES
        block.throttle.evidence.append("passive trip point of 80 C reached")

    (only,) = measured(SUSTAINED, {"original": 1e6}, (throttled,), count=3).variants
    (note,) = [note for note in only.notes if "last quarter" in note]
    assert "temperature was not read, the clock was not read" in note
    assert note.endswith("it throttled: passive trip point of 80 C reached")


def test_sequences_are_compared_as_a_whole_and_told_at_each_number_of_steps() -> None:
    measurement = measured(STEPWISE, PAIR, (stepped,))
    original, fast = measurement.variants
    assert measurement.primary_figure == "16 steps"
    assert fast.comparison == FASTER
    assert [at.step_count for at in original.steps] == [1, 4, 16]
    assert [at.total.value / 1e6 for at in original.steps] == pytest.approx([3.0, 6.0, 18.0], rel=0.05)
    assert original.steps[2].per_step.value == pytest.approx(1e6, rel=0.05)
    assert "no step after the first one" in original.steps[0].per_step.reason
    assert original.first_step.value == pytest.approx(3e6, rel=0.05)


def test_a_single_stream_is_compared_by_its_median_and_has_no_figures_of_other_modes() -> None:
    measurement = measured(plan_pb2.ModeSpec(), PAIR)
    fast = measurement.variants[1]
    assert measurement.primary_figure == "p50"
    assert not any("by p50" in note for note in fast.notes)
    for field in ("p50_response", "missed", "curve_end", "first_step", "preprocessing"):
        assert not fast.HasField(field), field
    assert not fast.steps


def test_what_the_task_declares_around_the_model_has_figures_of_its_own() -> None:
    def around(block: result_pb2.BlockResult) -> None:
        block.preprocessing_ns.extend([40_000] * 5)

    found = given(["original"], rounds_of({"original": 1e6}, (around,)))
    found.request.plan.processing.preprocessing_json = "{}"
    (only,) = build_measurement(found).variants
    assert only.preprocessing.value == pytest.approx(40_000)
    assert "declares nothing behind the model" in only.postprocessing.reason


def test_under_emulation_no_mode_says_a_time_a_rate_or_a_curve() -> None:
    device = common_pb2.DeviceDescription(device_id="d1", emulated_by="qemu-user on x86_64")
    for mode, plant in ((OFFLINE, heated), (PACED, queued), (SUSTAINED, heated), (STEPWISE, stepped)):
        (only,) = measured(mode, {"original": 1e6}, (plant,), device=device).variants
        told = [only.throughput, only.busy_cores, *(at.total for at in only.steps)]
        for field in ("p50_response", "missed", "curve_end", "curve_slowdown", "first_step"):
            told += [getattr(only, field)] if only.HasField(field) else []
        assert len(told) > 1
        for one in told:
            assert not one.HasField("value")
            assert "measured under emulation" in one.reason
        assert not only.curve
        assert not only.response_quantiles_ns


def test_settings_of_one_model_are_chosen_without_an_accuracy() -> None:
    found = given(["original", "fast"], rounds_of(PAIR))
    first, second = found.request.plan.artifacts
    second.artifact_digest = first.artifact_digest
    second.runtime.intra_op_thread_count = 2
    sentence = build_measurement(found).decision.sentence
    assert sentence.startswith("Ship fast on pi5: ")
    assert sentence.endswith("by the same model under other settings.")
    second.runtime.name = "openvino"
    assert "accuracy was not measured" in build_measurement(found).decision.sentence


def test_outputs_of_one_model_under_two_runtimes_are_judged_apart() -> None:
    found = given(["original", "fast"], rounds_of(PAIR), correct={"original": 1800, "fast": 1500})
    found.request.plan.artifacts[1].artifact_digest = digest_of("original")
    original, fast = build_measurement(found).variants
    assert (original.correct_count, fast.correct_count) == (1800, 1500)


def test_curves_of_minutes_are_granted_one_by_one_on_a_short_budget() -> None:
    request = request_of(["original", "fast"], budget_ms=600_000, min_round_count=6)
    request.plan.mode.CopyFrom(SUSTAINED)
    assert StopPolicy.of(request).decide([]).round_count == 1
    request.plan.mode.Clear()
    assert StopPolicy.of(request).decide([]).round_count == 6


def test_the_time_that_is_said_before_counts_curves_and_slow_arrivals_and_ends_with_the_budget() -> None:
    request = request_of(["original"], budget_ms=3_600_000, min_round_count=3)
    request.plan.mode.CopyFrom(SUSTAINED)
    assert estimated_duration_ms(request, 0) == 1000 + 3 * (550 + 300_000)
    request.budget_ms = 400_000
    assert estimated_duration_ms(request, 0) == 1000 + 550 + 300_000
    request.plan.mode.CopyFrom(PACED)
    assert estimated_duration_ms(request, 0) == 1000 + 3 * (550 + 500)


def test_the_stop_rule_settles_what_the_mode_compares() -> None:
    request = request_of(["original", "fast"])
    request.plan.mode.CopyFrom(PACED)
    waits = rounds_of({"original": 1e6, "fast": 1e6}, (lambda one: queued(one, wait_ns=_wait(one)),), count=6)
    assert StopPolicy.of(request).decide(waits).reason.startswith("every verdict was settled after 6 rounds")


def test_a_time_a_sample_is_shown_as_a_rate_with_its_ends_turned() -> None:
    time = value_over_rounds([1e6, 1.1e6, 0.9e6, 1.05e6], "ns")
    shown = primary_of(OFFLINE).shown(time)
    assert shown.unit == "1/s"
    assert shown.value == pytest.approx(1e9 / time.value)
    assert (shown.low, shown.high) == pytest.approx((1e9 / time.high, 1e9 / time.low))
