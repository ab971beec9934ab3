"""Rounds with one block that was not valid: left out for every variant, counted, shown, and the limits of repeating."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.stop import StopPolicy
from steelyard.analysis.validity import is_left_out, most_repeated, rounds_that_count
from steelyard.report.surroundings import rounds_text, validity_text
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import energy_round, given, latency_rounds, request_of

PAIR = {"original": 2e6, "fast": 1e6}
CONTENDED, THROTTLED = result_pb2.VALIDITY_VERDICT_CONTENDED, result_pb2.VALIDITY_VERDICT_THROTTLED
WAITED = "ready but not running for 96 ms of 200 ms timed (48 %): others had the processor"
HOT = "within 2 C of the passive trip point of thermal_zone0 (cpu-thermal): 83.4 of 85 C"


def spoil(
    rounds: Iterable[result_pb2.RoundResult],
    label: str = "fast",
    verdict: result_pb2.ValidityVerdict.ValueType = CONTENDED,
    why: str = WAITED,
) -> None:
    """Make one model's block of each round one that was not valid, slow as such a block is."""
    for one in rounds:
        block = next(block for block in one.blocks if block.label == label)
        block.status = result_pb2.BLOCK_STATUS_NOT_VALID
        block.error.reason, block.error.message = "contended", why
        block.validity.verdict = verdict
        block.validity.evidence.append(why)
        slow = [3 * sample for sample in block.latency_ns]
        del block.latency_ns[:]
        block.latency_ns.extend(slow)


def variant(measurement: measurement_pb2.Measurement, label: str) -> measurement_pb2.VariantMeasurement:
    return next(one for one in measurement.variants if one.label == label)


def test_a_round_with_one_block_that_was_not_valid_is_left_out_for_all_variants() -> None:
    rounds = latency_rounds(PAIR, 9)
    spoil([rounds[2], rounds[5]])
    spoil([rounds[7]], "original", THROTTLED, HOT)
    measurement = build_measurement(given(list(PAIR), rounds))
    for label, truth in PAIR.items():
        one = variant(measurement, label)
        assert one.p50_latency.value == pytest.approx(truth, rel=0.01)
        assert [each.round_index for each in one.rounds] == [0, 1, 3, 4, 6, 8]
        assert one.p50_latency.observation_count == 6
        assert one.failed_block_count == 0
    assert (measurement.round_count, measurement.repeated_round_count) == (6, 3)
    fast, original = variant(measurement, "fast"), variant(measurement, "original")
    assert [(one.verdict, one.block_count, one.example) for one in fast.validity] == [(CONTENDED, 2, WAITED)]
    assert [(one.verdict, one.block_count) for one in original.validity] == [(THROTTLED, 1)]
    (left_out,) = [one for one in measurement.warnings if "left out" in one]
    assert left_out.endswith(f"repeated (original 1 throttled of 9; fast 2 contended of 9), such as original: {HOT}")
    assert rounds_text(measurement) == "6 rounds, 3 repeated"
    assert validity_text(measurement) == f"original: 1 throttled ({HOT}); fast: 2 contended ({WAITED})"


def test_what_was_left_out_is_repeated_before_a_verdict_is_read() -> None:
    policy = StopPolicy.of(request_of(list(PAIR)))
    rounds = latency_rounds(PAIR, 8)
    spoil(rounds[:2])
    assert not policy.decide(rounds[:6]).stop
    assert policy.decide(rounds[:6]).round_count == 2
    assert policy.decide(rounds).stop


@pytest.mark.parametrize(("allowed", "bound"), [(3, 3), (6, 3), (9, 4), (40, 20), (1000, 500)])
def test_half_as_many_again_are_repeated_and_three_at_least(allowed: int, bound: int) -> None:
    assert most_repeated(allowed) == bound


def test_beyond_the_bound_a_measurement_with_too_few_rounds_is_incomplete_and_says_why() -> None:
    rounds = latency_rounds(PAIR, 6)
    spoil(rounds[:4])
    request = {"min_round_count": 3, "max_round_count": 6}
    decision = StopPolicy.of(request_of(list(PAIR), **request)).decide(rounds)
    assert decision.stop
    measurement = build_measurement(given(list(PAIR), rounds, **request))
    assert measurement.stop_reason.startswith("4 of 6 rounds were not valid, more than are repeated (3): fast: ready")
    assert measurement.warnings[0].startswith("measuring was cut short: 4 of 6 rounds")
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE
    assert "2 valid rounds are fewer than the 3" in measurement.decision.sentence
    assert measurement.decision.label == ""


def test_beyond_the_bound_enough_rounds_still_decide() -> None:
    rounds = latency_rounds(PAIR, 10)
    spoil(rounds[6:])
    measurement = build_measurement(given(list(PAIR), rounds, max_round_count=6))
    assert measurement.warnings[0].startswith("measuring was cut short: 4 of 10 rounds")
    assert measurement.decision.sentence.startswith("fast is the fastest on pi5, 2.0")
    assert variant(measurement, "fast").comparison == measurement_pb2.COMPARISON_VERDICT_FASTER


def test_an_energy_round_that_was_not_valid_gives_no_energy() -> None:
    rounds = [*latency_rounds(PAIR, 6), energy_round({"original": 0.5, "fast": 0.25})]
    spoil(rounds[-1:])
    measurement = build_measurement(given(list(PAIR), rounds))
    assert not any(one.energy.HasField("value") for one in measurement.variants)
    assert measurement.repeated_round_count == 1
    assert measurement.round_count == 6


def test_other_passes_lose_the_block_only() -> None:
    rounds = latency_rounds(PAIR, 1)
    spoil(rounds)
    assert is_left_out(rounds[0])
    rounds[0].pass_kind = result_pb2.PASS_EVALUATION
    assert not is_left_out(rounds[0])
    assert rounds_that_count(rounds) == rounds


def test_a_crash_in_a_round_that_is_left_out_is_still_a_crash() -> None:
    crash = (result_pb2.BLOCK_STATUS_CRASHED, "it crashed")
    rounds = latency_rounds(PAIR, 7, failures={(0, "original"): crash})
    spoil(rounds[:1])
    measurement = build_measurement(given(list(PAIR), rounds))
    assert variant(measurement, "original").failed_block_count == 1
    assert measurement.round_count == 6


def test_throttled_blocks_are_counted_also_when_they_are_left_out() -> None:
    rounds = latency_rounds(PAIR, 7)
    spoil(rounds[:1], "fast", THROTTLED, HOT)
    block = next(one for one in rounds[0].blocks if one.label == "fast")
    block.throttle.verdict = result_pb2.THROTTLE_VERDICT_YES
    block.throttle.evidence.append(HOT)
    measurement = build_measurement(given(list(PAIR), rounds))
    assert variant(measurement, "fast").throttled_block_count == 1
    assert measurement.throttle.verdict == result_pb2.THROTTLE_VERDICT_YES
    assert not any("the device throttled in" in text for text in measurement.warnings), "no figure rests on it"


def test_what_could_not_be_looked_at_is_told_once() -> None:
    rounds = latency_rounds(PAIR, 6)
    for one in rounds:
        for block in one.blocks:
            block.validity.verdict = result_pb2.VALIDITY_VERDICT_VALID
            block.validity.not_looked_at.extend(["temperature: no sensor", "steal: /proc/stat is not there"])
    told = [text for text in build_measurement(given(list(PAIR), rounds)).warnings if "not looked at" in text]
    assert told == ["not looked at around blocks: temperature: no sensor; steal: /proc/stat is not there"]


def test_contention_that_the_plan_allows_is_told() -> None:
    rounds = latency_rounds(PAIR, 6)
    for one in rounds:
        for block in one.blocks:
            block.window_ns = 200_000_000
            block.validity.run_delay_ns = 60_000_000 if block.label == "fast" else 100_000
    warnings = build_measurement(given(list(PAIR), rounds)).warnings
    assert any(text.startswith("others had the processor for up to 30 % of a timed window (fast)") for text in warnings)
    assert not any(text.startswith("original: others had") for text in warnings)


def test_valid_rounds_say_nothing() -> None:
    measurement = build_measurement(given(list(PAIR), latency_rounds(PAIR, 6)))
    assert measurement.repeated_round_count == 0
    assert not any(one.validity for one in measurement.variants)
    assert (rounds_text(measurement), validity_text(measurement)) == ("6 rounds", "")


def test_a_long_wait_is_told_with_the_way_around_it() -> None:
    rounds = latency_rounds(PAIR, 6)
    for one in rounds[:3]:
        one.blocks[0].validity.waited_ms = 4000
    waits = [text for text in build_measurement(given(list(PAIR), rounds)).warnings if "waited" in text]
    assert waits == [
        (
            "blocks waited 12 s in all for a quiet and cool device, which the budget pays for: end what else runs "
            "there, or begin at once by --no-gate"
        )
    ]
    rounds[0].blocks[0].validity.waited_ms = 1000
    assert not any("waited" in text for text in build_measurement(given(list(PAIR), rounds)).warnings)
