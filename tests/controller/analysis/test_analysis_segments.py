"""Warnings of a device that changed between two segments, on planted rounds."""

from __future__ import annotations

from steelyard.analysis.segment_warnings import changed_circumstances, segment_warnings
from steelyard.analysis.variant_rounds import collect
from tests.controller.analysis.planted_rounds import latency_rounds

PAIR = {"original": 2e6, "fast": 1e6}
TWO_SEGMENTS = [0] * 8 + [1] * 8


def test_a_device_that_stayed_as_it_was_is_not_accused() -> None:
    rounds = latency_rounds(PAIR, 16, segments=TWO_SEGMENTS)
    assert segment_warnings(list(collect(rounds, list(PAIR)).values())) == []


def test_a_device_that_became_slower_is_named_for_each_variant_but_not_for_their_ratio() -> None:
    rounds = latency_rounds(PAIR, 16, segments=TWO_SEGMENTS, slower_from={1: 1.3})
    warnings = segment_warnings(list(collect(rounds, list(PAIR)).values()))
    assert [text.partition(":")[0] for text in warnings] == ["original", "fast"]


def test_a_variant_that_changed_against_the_other_is_seen_in_the_ratio() -> None:
    rounds = latency_rounds(PAIR, 8) + latency_rounds(PAIR | {"fast": 1.02e6}, 16, segments=TWO_SEGMENTS, seed=2)[8:]
    warnings = segment_warnings(list(collect(rounds, list(PAIR)).values()))
    assert [text.partition(":")[0] for text in warnings] == ["speed-up of fast"]
    assert "segment 1 differs from segment 0 by -2." in warnings[0] or "by -1." in warnings[0]


def test_a_round_that_one_of_two_missed_is_left_out_of_the_ratio() -> None:
    rounds = latency_rounds(PAIR, 16, segments=TWO_SEGMENTS)
    del rounds[3].blocks[0]
    assert segment_warnings(list(collect(rounds, list(PAIR)).values())) == []


def test_a_circumstance_that_a_later_segment_has_otherwise_is_named_with_both_values() -> None:
    rounds = latency_rounds(PAIR, 4, segments=[0, 0, 1, 1])
    for one in rounds:
        for block in one.blocks:
            block.circumstances.add(name="governor", value="ondemand" if one.segment == 0 else "performance")
            block.circumstances.add(name="kernel", value="6.6.20")
    assert changed_circumstances(rounds) == [
        "governor was ondemand in segment 0 and performance in segment 1: figures over both mix the two"
    ]


def test_another_version_of_a_runtime_in_a_later_segment_is_named() -> None:
    rounds = latency_rounds({"original": 2e6}, 4, segments=[0, 0, 1, 1])
    for one in rounds[2:]:
        one.blocks[0].runtime_version = "1.33.0"
    (warning,) = changed_circumstances(rounds)
    assert warning.startswith("onnxruntime for original was 1.32.0 in segment 0 and 1.33.0 in segment 1")


def test_a_circumstance_that_moves_within_every_segment_is_no_change_between_them() -> None:
    rounds = latency_rounds({"original": 2e6}, 4, segments=[0, 0, 1, 1])
    for index, one in enumerate(rounds):
        one.blocks[0].circumstances.add(name="boost", value=("on", "off")[index % 2])
    assert changed_circumstances(rounds) == []
