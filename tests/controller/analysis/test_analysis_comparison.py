"""What a comparison says beside its verdict, on planted rounds."""

from __future__ import annotations

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard_protocol.v1 import measurement_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds

PAIR = {"original": 2e6, "fast": 1e6}
SAME = {"original": 1e6, "again": 1e6}


def test_the_note_says_what_the_rounds_would_have_shown() -> None:
    original, again = build_measurement(given(list(SAME), latency_rounds(SAME, 12))).variants
    assert again.comparison == measurement_pb2.COMPARISON_VERDICT_NO_DIFFERENCE
    assert "no difference as small as 3 %: " in again.notes[0]
    assert "; would have shown a change of 0." in again.notes[0]
    effect = again.minimum_detectable_effect
    assert 0.0 < effect.value < 0.01
    assert effect.unit == "fraction"
    assert not original.HasField("minimum_detectable_effect")


def test_thresholds_of_the_request_decide() -> None:
    rounds = latency_rounds({"original": 1.04e6, "fast": 1e6}, 12)
    strict = build_measurement(given(list(PAIR), rounds)).variants[1]
    tolerant = build_measurement(given(list(PAIR), rounds, minimum_effect=0.1)).variants[1]
    assert strict.comparison == measurement_pb2.COMPARISON_VERDICT_FASTER
    assert tolerant.comparison == measurement_pb2.COMPARISON_VERDICT_NO_DIFFERENCE
    assert "no difference as small as 10 %" in tolerant.notes[0]


def test_the_rank_test_stands_beside_the_verdict_without_a_word_when_it_agrees() -> None:
    fast = build_measurement(given(list(PAIR), latency_rounds(PAIR, 12))).variants[1]
    assert fast.wilcoxon_p == pytest.approx(2.0**-11)
    assert not any("Wilcoxon" in note for note in fast.notes)


def test_a_wild_round_brings_a_note_of_the_rank_test() -> None:
    rounds = latency_rounds({"original": 1.05e6, "fast": 1e6}, 20)
    wild = next(one for one in rounds[7].blocks if one.label == "fast")
    wild.latency_ns[:] = [25 * value for value in wild.latency_ns]
    fast = build_measurement(given(list(PAIR), rounds)).variants[1]
    assert fast.comparison == measurement_pb2.COMPARISON_VERDICT_UNDECIDED
    assert any("signed-rank test (p = " in note and "says faster" in note for note in fast.notes)


def test_paired_answers_are_tested_by_mcnemar_and_the_note_says_how() -> None:
    measurement = build_measurement(
        given(list(PAIR), latency_rounds(PAIR, 6), correct={"original": 1900, "fast": 1890})
    )
    original, fast = measurement.variants
    assert fast.mcnemar_p == pytest.approx(2.0**-9)
    assert "accuracy against the first: McNemar p = 0.002 (exact): 10 answers lost, 0 gained" in fast.notes
    assert not original.HasField("mcnemar_p")


def test_without_a_task_there_is_no_mcnemar() -> None:
    fast = build_measurement(given(list(PAIR), latency_rounds(PAIR, 6))).variants[1]
    assert not fast.HasField("mcnemar_p")
