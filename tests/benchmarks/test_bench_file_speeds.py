"""Rounds of a session as benchmarks keep them: shared ones, or all with gaps."""

from __future__ import annotations

from benchmarks.compression.file_speeds import by_round, every_round

from steelyard_protocol.v1 import measurement_pb2


def _variant(label: str, p50_ns: dict[int, float], failure: str = "") -> measurement_pb2.VariantMeasurement:
    variant = measurement_pb2.VariantMeasurement(label=label)
    for index, value in p50_ns.items():
        variant.rounds.add(round_index=index, p50_ns=value)
    variant.failure.reason = failure
    return variant


_SESSION = measurement_pb2.Measurement(
    variants=[
        _variant("original", {0: 10.0, 1: 11.0, 2: 12.0}),
        _variant("int8", {0: 5.0, 2: 6.0}),
        _variant("broken", {0: 1.0}, failure="worker_crashed"),
        _variant("never", {}),
    ]
)


def test_only_rounds_that_all_share_are_kept() -> None:
    assert by_round(_SESSION) == {"original": [10.0, 12.0], "int8": [5.0, 6.0]}


def test_every_round_is_kept_with_a_gap_where_a_variant_has_none() -> None:
    assert every_round(_SESSION) == {"original": [10.0, 11.0, 12.0], "int8": [5.0, None, 6.0]}


def test_a_session_without_figures_has_no_rounds() -> None:
    nothing = measurement_pb2.Measurement(variants=[_variant("never", {})])
    assert every_round(nothing) == by_round(nothing) == {}
