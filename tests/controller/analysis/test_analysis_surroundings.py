"""Throttling, circumstances and blocks that were not valid, from planted blocks to what a measurement says of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds

PAIR = {"original": 2e6, "fast": 1e6}
YES, NO, UNKNOWN = (
    result_pb2.THROTTLE_VERDICT_YES,
    result_pb2.THROTTLE_VERDICT_NO,
    result_pb2.THROTTLE_VERDICT_UNKNOWN,
)
HOT = "cpu-thermal was at 84.0 C; it slows the device down from 85 C on"
NOT_VALID = (result_pb2.BLOCK_STATUS_NOT_VALID, "the worker ran in Android's background cpuset")


def planted(count: int = 6, **more: object) -> list[result_pb2.RoundResult]:
    """Rounds on a device that did not throttle, under the governor ondemand."""
    rounds = latency_rounds(PAIR, count, **more)  # type: ignore[arg-type]
    for block in blocks(rounds):
        block.throttle.verdict = NO
        block.circumstances.add(name="governor", value="ondemand")
    return rounds


def blocks(rounds: Sequence[result_pb2.RoundResult], label: str = "") -> list[result_pb2.BlockResult]:
    return [block for one in rounds for block in one.blocks if not label or block.label == label]


def measured(rounds: Sequence[result_pb2.RoundResult]) -> measurement_pb2.Measurement:
    return build_measurement(given(list(PAIR), list(rounds)))


def about_heat(measurement: measurement_pb2.Measurement) -> list[str]:
    return [text for text in measurement.warnings if "throttl" in text or "not valid" in text]


def test_a_device_that_did_not_throttle_raises_no_warning() -> None:
    measurement = measured(planted())
    assert measurement.throttle.verdict == NO
    assert about_heat(measurement) == []
    assert [one.throttled_block_count for one in measurement.variants] == [0, 0]


def test_blocks_that_throttled_are_counted_and_told_by_variant_with_the_first_evidence() -> None:
    rounds = planted()
    for block in blocks(rounds, "fast")[1:4]:
        block.throttle.verdict = YES
        block.throttle.evidence.append(HOT)
    measurement = measured(rounds)
    assert about_heat(measurement) == [f"fast: the device throttled in 3 of 6 blocks: {HOT}"]
    assert {one.label: one.throttled_block_count for one in measurement.variants} == {"original": 0, "fast": 3}
    assert measurement.throttle.verdict == YES
    assert list(measurement.throttle.evidence) == [HOT]


def test_hints_of_blocks_that_did_not_throttle_are_no_evidence_of_the_measurement() -> None:
    rounds = planted()
    blocks(rounds)[0].throttle.evidence.append("latency rose by 7 %")
    assert list(measured(rounds).throttle.evidence) == []


def test_what_could_not_be_ruled_out_is_told_once_a_device() -> None:
    rounds = planted()
    for block in blocks(rounds):
        block.throttle.verdict = UNKNOWN
        block.throttle.not_looked_at.append("vcgencmd is not installed")
    measurement = measured(rounds)
    assert about_heat(measurement) == ["throttling could not be ruled out: vcgencmd is not installed"]
    assert measurement.throttle.verdict == UNKNOWN


def test_a_part_of_the_blocks_is_told_as_a_part_and_long_lists_of_reasons_are_cut() -> None:
    rounds = planted()
    for block in blocks(rounds)[:2]:
        block.throttle.verdict = UNKNOWN
        block.throttle.not_looked_at.extend(["one", "two", "three", "four", "five"])
    measurement = measured(rounds)
    assert about_heat(measurement) == ["throttling could not be ruled out in 2 of 12 blocks: one; two; three; 2 more"]
    assert list(measurement.throttle.not_looked_at) == ["one", "two", "three", "four", "five"]


def test_an_unknown_without_a_word_is_told_all_the_same() -> None:
    rounds = planted()
    for block in blocks(rounds):
        block.throttle.verdict = UNKNOWN
    assert about_heat(measured(rounds)) == ["throttling could not be ruled out: the device did not say why"]


def test_a_yes_without_a_word_is_told_all_the_same() -> None:
    rounds = planted()
    blocks(rounds, "fast")[0].throttle.verdict = YES
    assert about_heat(measured(rounds)) == ["fast: the device throttled in 1 of 6 blocks: it did not say how"]


def test_an_agent_that_says_nothing_of_throttling_is_no_no() -> None:
    measurement = measured(latency_rounds(PAIR, 6))
    assert not measurement.HasField("throttle")
    assert list(measurement.circumstances) == []
    assert about_heat(measurement) == []


def test_circumstances_are_told_once_with_every_value_in_the_order_of_its_coming() -> None:
    rounds = planted()
    for index, block in enumerate(blocks(rounds)):
        block.circumstances.add(name="power_mode", value="MAXN" if index < 5 else "15W")
        block.circumstances.add(name="mood", reason="nobody asked")
    seen = {one.name: (one.value, one.reason) for one in measured(rounds).circumstances}
    assert seen == {"governor": ("ondemand", ""), "power_mode": ("MAXN, then 15W", ""), "mood": ("", "nobody asked")}
    assert not next(one for one in measured(rounds).circumstances if one.name == "mood").HasField("value")


def test_a_circumstance_that_was_told_once_is_told() -> None:
    rounds = planted()
    first, *others = blocks(rounds)
    first.circumstances.add(name="power_mode", reason="nvpmodel did not answer")
    for block in others:
        block.circumstances.add(name="power_mode", value="MAXN")
    (mode,) = [one for one in measured(rounds).circumstances if one.name == "power_mode"]
    assert (mode.value, mode.reason) == ("MAXN", "")


def test_blocks_that_were_not_valid_are_left_out_of_figures_counted_and_explained() -> None:
    rounds = planted(8, failures={(0, "fast"): NOT_VALID, (3, "fast"): NOT_VALID})
    # Its samples travel all the same, and are absurd.
    for one in (rounds[0], rounds[3]):
        block = next(block for block in one.blocks if block.label == "fast")
        block.latency_ns.extend([9_000_000_000] * 100)
    measurement = measured(rounds)
    fast = next(one for one in measurement.variants if one.label == "fast")
    assert fast.p50_latency.value == pytest.approx(1e6, rel=0.05)
    assert (len(fast.rounds), fast.validity[0].block_count, fast.sample_count) == (6, 2, 600)
    left_out = "rounds with a block that was not valid are left out and were repeated (fast 2 not valid of 8)"
    assert about_heat(measurement) == [f"{left_out}, such as fast: {NOT_VALID[1]}"]


def test_without_a_valid_round_every_variant_has_failed_with_the_reason_and_no_figure() -> None:
    rounds = planted(6, failures={(index, "fast"): NOT_VALID for index in range(6)})
    measurement = measured(rounds)
    for variant in measurement.variants:
        assert variant.failure_status == result_pb2.BLOCK_STATUS_NOT_VALID
        assert variant.failure.message == f"no round was valid: fast: {NOT_VALID[1]}"
        assert not variant.p50_latency.HasField("value")
        assert variant.p50_latency.reason == variant.failure.message
    assert about_heat(measurement) == []
