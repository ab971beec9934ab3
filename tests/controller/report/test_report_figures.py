from __future__ import annotations

import pytest

from steelyard.report.figures import failed, failure_text, figure, has_interval, is_known, one_line
from steelyard.report.gaps import find_gaps, gap_text
from steelyard.report.labels import in_two_lines, short_labels
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.support import measurements


def test_an_interval_has_as_many_digits_as_tell_its_ends_apart() -> None:
    estimate = measurement_pb2.Estimate(value=1.232e6, low=1.231e6, high=1.234e6, unit="ns", confidence=0.95)

    assert one_line(estimate) == "1.232 ms (1.231 to 1.234)"


def test_an_asymmetric_interval_is_shown_as_it_is() -> None:
    shown = figure(measurement_pb2.Estimate(value=100.0, low=99.0, high=140.0, unit="ns", confidence=0.95))

    assert (shown.value, shown.interval) == ("100 ns", "99 to 140")


def test_an_estimate_without_value_is_not_measured_and_says_why() -> None:
    shown = figure(measurements.unknown("J", "no sensor"))

    assert (shown.value, shown.reason, shown.is_known) == ("not measured", "no sensor", False)


def test_an_estimate_without_interval_keeps_its_value_and_the_reason() -> None:
    shown = figure(measurement_pb2.Estimate(value=2e6, unit="ns", reason="2 rounds are too few"))

    assert (shown.value, shown.interval, shown.reason) == ("2.00 ms", "", "2 rounds are too few")


def test_an_estimate_that_was_never_filled_has_a_reason_all_the_same() -> None:
    assert figure(measurement_pb2.Estimate()).reason == "no reason was recorded"
    assert figure(measurement_pb2.Estimate(value=1.0, unit="B")).reason == "no interval was computed"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_not_known(value: float) -> None:
    estimate = measurement_pb2.Estimate(value=value, low=0.0, high=1.0, unit="ns")

    assert not is_known(estimate)
    assert not has_interval(estimate)


def test_an_interval_in_the_wrong_order_is_not_shown() -> None:
    assert not has_interval(measurement_pb2.Estimate(value=1.0, low=2.0, high=3.0, unit="ns"))


def test_a_failed_variant_says_its_status_and_why() -> None:
    variant = measurements.with_failures().variants[1]

    assert failed(variant)
    assert failure_text(variant).startswith("unsupported: onnxruntime has no kernel")


def test_an_ok_variant_has_not_failed() -> None:
    assert not failed(measurement_pb2.VariantMeasurement(failure_status=result_pb2.BLOCK_STATUS_OK))
    assert not failed(measurement_pb2.VariantMeasurement())


def test_a_gap_that_all_variants_share_is_said_once() -> None:
    assert [gap_text(gap) for gap in find_gaps(measurements.normal())] == [f"energy: {measurements.NO_SENSOR}"]


def test_a_gap_of_one_variant_names_it() -> None:
    measurement = measurements.with_energy()
    measurement.variants[3].p90_latency.CopyFrom(measurements.unknown("ns", "60 samples are fewer than 64"))

    assert [gap_text(gap) for gap in find_gaps(measurement)] == [
        "p90 latency of static-int8: 60 samples are fewer than 64"
    ]


def test_a_missing_interval_is_a_gap_of_its_own() -> None:
    measurement = measurements.with_energy()
    for variant in measurement.variants:
        variant.model_load.CopyFrom(measurement_pb2.Estimate(value=1e6, unit="ns", reason="one round only"))

    assert [gap_text(gap) for gap in find_gaps(measurement)] == ["interval of model load: one round only"]


def test_long_labels_keep_both_ends() -> None:
    assert short_labels(["static-int8-per-channel-v3"], 15) == ["static-\N{HORIZONTAL ELLIPSIS}nnel-v3"]


def test_labels_that_differ_stay_different_when_cut() -> None:
    labels = ["a" * 20 + middle + "b" * 20 for middle in "xyz"]

    shorts = short_labels(labels, 12)

    assert len(set(shorts)) == 3
    assert all(len(short) <= 12 for short in shorts)


def test_a_label_breaks_after_its_last_separator_that_fits() -> None:
    assert in_two_lines("static-int8-entropy", 14) == "static-int8-\nentropy"
    assert in_two_lines("x" * 20, 14) == "x" * 14 + "\n" + "x" * 6
    assert in_two_lines("short", 14) == "short"
