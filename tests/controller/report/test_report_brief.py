"""The first screen of a result: what decides is there, what is routine is counted, and nothing is lost."""

from __future__ import annotations

import pytest

from steelyard.report.terminal import render_comparison, render_measurement
from steelyard_protocol.v1 import measurement_pb2
from tests.controller.report.test_report_terminal import shown
from tests.support import measurements

VERDICT = "slower: 0.90x (0.88x to 0.92x) at 99 % over 12 rounds; would have shown a change of 1.3 %"
ROUTINE = (
    "latency drifted within the launch in 1 of 12 blocks (Mann-Kendall test)",
    "accuracy against the first: McNemar p = 1 (exact): 0 answers lost, 1 gained",
)
QUEUE = "a queue fell behind"


def measured() -> measurement_pb2.Measurement:
    """Return a measurement whose second variant is slower, with two notes of routine and one that matters."""
    measurement = measurements.normal()
    measurement.job_id, measurement.primary_figure = "3f9a0123456789", "p50"
    second = measurement.variants[1]
    second.comparison = measurement_pb2.COMPARISON_VERDICT_SLOWER
    del second.notes[:]
    second.notes.extend([*ROUTINE, VERDICT, QUEUE])
    second.throughput.value, second.throughput.unit = 800.0, "/s"
    return measurement


def first_screen(measurement: measurement_pb2.Measurement) -> str:
    return " ".join(shown(render_measurement(measurement, details=False)).split())


def test_the_verdict_on_a_variant_stands_once_and_next_to_the_decision() -> None:
    measurement = measured()
    text = first_screen(measurement)
    said = f"{measurement.variants[1].label}: {VERDICT}"
    assert text.count(said) == 1
    assert said in text[-len(measurement.decision.sentence) - 600 :]
    assert text.endswith(measurement.decision.sentence)


def test_what_is_routine_is_counted_with_the_command_that_shows_it() -> None:
    measurement = measured()
    text, everything = first_screen(measurement), shown(render_measurement(measurement), 400)
    for note in ROUTINE:
        assert note not in text
        assert note in everything
    assert "tail and load" in everything
    assert "more: tail and load, " in text
    assert "notes: steelyard job show 3f9a0123" in text


def test_a_note_that_somebody_would_act_on_is_on_the_first_screen() -> None:
    assert f"note: {measured().variants[1].label}: {QUEUE}" in first_screen(measured())


def test_every_warning_is_on_the_first_screen() -> None:
    measurement = measured()
    measurement.warnings.append("throttling could not be ruled out: nobody tells")
    assert "warning: throttling could not be ruled out: nobody tells" in first_screen(measurement)


def test_a_column_in_which_nothing_was_measured_is_one_sentence_with_its_reason() -> None:
    text = first_screen(measured())
    assert f"energy not measured: {measurements.NO_SENSOR}" in text
    assert "peak memory size" in text
    assert "peak memory energy size" in " ".join(shown(render_measurement(measured())).split())
    assert "peak memory energy size" in first_screen(measurements.with_energy())


def test_an_accuracy_that_has_its_warning_is_not_told_twice() -> None:
    measurement = measured()
    for one in measurement.variants:
        one.accuracy.Clear()
        one.accuracy.reason = "no task was named (--task FILE)"
    measurement.warnings.append("accuracy was not measured: no task was named (--task FILE)")
    text = first_screen(measurement)
    assert text.count("no task was named") == 1
    assert "variant p50 p90" in text


@pytest.mark.parametrize("is_undecided", [True, False])
def test_more_rounds_are_offered_where_a_verdict_is_missing(*, is_undecided: bool) -> None:
    measurement = measured()
    if is_undecided:
        measurement.variants[1].comparison = measurement_pb2.COMPARISON_VERDICT_UNDECIDED
    assert ("steelyard measure --extend 3f9a0123" in first_screen(measurement)) is is_undecided


def test_a_comparison_ends_with_its_verdict() -> None:
    measurement = measured()
    del measurement.variants[2:]
    text = " ".join(shown(render_comparison(measurement, details=False)).split())
    assert text.endswith(f"{measurement.variants[1].label}: {VERDICT}")


@pytest.mark.parametrize("name", measurements.every_case())
def test_the_first_screen_of_every_case_fits_80_columns_and_is_no_longer_than_all(name: str) -> None:
    measurement = measurements.every_case()[name]
    brief = shown(render_measurement(measurement, details=False))
    assert max(map(len, brief.splitlines())) <= 80
    assert len(brief.splitlines()) <= len(shown(render_measurement(measurement)).splitlines()) + 6
