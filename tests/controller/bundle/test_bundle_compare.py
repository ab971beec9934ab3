"""Comparing claims: exact in words and counts, within a billionth in numbers, whatever fields there are."""

from __future__ import annotations

import math

import pytest
from google.protobuf.message import Message

from steelyard.bundle.compare import compare_messages
from steelyard_protocol.v1 import control_pb2, measurement_pb2, plan_pb2
from tests.support.measurements import normal, with_energy


def estimate(value: float, low: float, high: float) -> measurement_pb2.Estimate:
    return measurement_pb2.Estimate(value=value, low=low, high=high, unit="pp")


def differs(one: Message, other: Message, *, same_version: bool = True) -> list[str]:
    return [found.where for found in compare_messages(one, other, same_version=same_version).differences]


def test_equal_messages_agree_in_every_field() -> None:
    found = compare_messages(with_energy(), with_energy(), same_version=True)
    assert found.differences == ()
    assert found.figure_count > 500


def test_numbers_are_compared_within_the_scale_of_their_figure() -> None:
    # The end near zero is a difference of two shares: what is left of it is rounding.
    assert differs(estimate(1.0, 0.0, 2.0), estimate(1.0, 1e-10, 2.0)) == []
    assert differs(estimate(1.0, 0.0, 2.0), estimate(1.0, 1e-8, 2.0)) == [""]
    assert differs(estimate(0.0, 0.0, 0.0), estimate(1e-17, 0.0, 0.0)) == []
    tiny = [measurement_pb2.Estimate(value=value, unit="J") for value in (3e-9, 3.0001e-9)]
    assert differs(*tiny) == [""]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_equals_itself_alone(value: float) -> None:
    assert differs(estimate(value, 0.0, 1.0), estimate(value, 0.0, 1.0)) == []
    assert differs(estimate(value, 0.0, 1.0), estimate(1.0, 0.0, 1.0)) == [""]


def test_a_missing_value_an_end_and_a_reason_are_told_apart() -> None:
    known = estimate(1.0, 0.5, 2.0)
    without = measurement_pb2.Estimate(value=1.0, unit="pp")
    unknown = measurement_pb2.Estimate(unit="pp", reason="no sensor")
    assert differs(known, without) == [""]
    assert differs(unknown, known) == [""]
    (found,) = compare_messages(unknown, known, same_version=True).differences
    assert found.claimed == "no value (no sensor)"
    assert found.recomputed == "1 pp (0.5 to 2, 0 observations)"


def test_differences_are_named_by_variant_and_field() -> None:
    claimed, recomputed = normal(), normal()
    claimed.variants[3].p90_latency.value *= 1.1
    claimed.variants[2].rounds[4].p50_ns += 10
    claimed.variants[1].notes.append("it was quiet")
    claimed.decision.sentence = "Ship it."
    assert differs(claimed, recomputed) == [
        "notes of float16",
        "rounds 5 p50_ns of dynamic-int8",
        "p90_latency of static-int8",
        "decision sentence",
    ]


def test_maps_are_compared_by_key_and_not_changed() -> None:
    one, other = plan_pb2.RuntimeSpec(options={"a": "1"}), plan_pb2.RuntimeSpec(options={"b": "1"})
    assert differs(one, other) == ["options a", "options b"]
    assert dict(one.options) == {"a": "1"}


def test_what_another_version_did_not_know_is_counted_apart() -> None:
    claimed, recomputed = normal(), normal()
    claimed.variants[0].ClearField("p50_latency")
    claimed.variants[0].ClearField("rounds")
    claimed.primary_figure, recomputed.primary_figure = "", "p50"
    assert len(differs(claimed, recomputed)) == 3
    other = compare_messages(claimed, recomputed, same_version=False)
    assert (other.differences, other.not_claimed) == ((), 3)
    # What it claims and the samples do not give is a difference in any version.
    assert differs(normal(), claimed, same_version=False) == ["p50_latency of original", "rounds of original"]


def test_messages_of_any_kind_can_be_compared() -> None:
    one = control_pb2.MeasurementRecord(controller_id="a", artifacts=[control_pb2.Artifact(name="m")])
    other = control_pb2.MeasurementRecord(controller_id="b", artifacts=[control_pb2.Artifact(name="m")])
    assert differs(one, other) == ["controller_id"]
