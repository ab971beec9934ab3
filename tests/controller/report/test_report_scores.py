"""Reports of tasks with other metrics than top-1: their own name, unit and direction wherever accuracy stands."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from rich.console import Console, RenderableType

from steelyard.cli.compare import _exit_code
from steelyard.export.model_card import model_card
from steelyard.report.brief import unmeasured_columns
from steelyard.report.charts.series import make_series
from steelyard.report.charts.tradeoff import draw_tradeoff
from steelyard.report.facts import method_facts
from steelyard.report.full_table import make_head, make_rows
from steelyard.report.gaps import find_gaps
from steelyard.report.html import render_html
from steelyard.report.latex import render_latex
from steelyard.report.table_csv import render_csv
from steelyard.report.terminal import render_comparison, render_measurement
from steelyard.report.tiles import make_tiles
from steelyard_protocol.v1 import measurement_pb2
from tests.support.measurements import artifact, normal

ERRORS = {"original": 0.231, "float16": 0.232, "dynamic-int8": 0.235, "static-int8": 0.262}


def regression(unit: str = "number") -> measurement_pb2.Measurement:
    """A measurement by RMSE of which the fastest is a little worse."""
    measurement = normal()
    measurement.task_name = "taxi"
    measurement.task_id = "t1"
    measurement.metric.CopyFrom(
        measurement_pb2.MetricDescription(kind="rmse", label="root mean square error", unit=unit)
    )
    for variant in measurement.variants:
        value = ERRORS[variant.label]
        variant.accuracy.CopyFrom(estimate(value - 0.01, value, value + 0.01, unit))
        lost = value - ERRORS["original"]
        variant.accuracy_drop.CopyFrom(estimate(lost - 0.001, lost, lost + 0.001, unit))
        variant.correct_count, variant.evaluated_count = 0, 500
        variant.ClearField("mcnemar_p")
    return measurement


def estimate(low: float, value: float, high: float, unit: str) -> measurement_pb2.Estimate:
    return measurement_pb2.Estimate(low=low, value=value, high=high, unit=unit, confidence=0.95, observation_count=500)


def terminal_text(shown: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=160, no_color=True)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_terminal_names_the_score_its_task_and_its_direction() -> None:
    text = terminal_text(render_measurement(regression()))
    assert "rmse on taxi (less is better)" in text
    assert "0.262 (0.252 to 0.272)" in text
    assert "accuracy" not in text.partition("Ship ")[0]


def test_a_comparison_has_the_drop_and_no_mcnemar() -> None:
    text = terminal_text(render_comparison(regression()))
    assert "rmse, paired by sample" in text
    assert "McNemar" not in text
    assert "0.0310 (0.0300 to 0.0320)" in text
    assert "McNemar" in terminal_text(render_comparison(with_task(normal())))


def with_task(measurement: measurement_pb2.Measurement) -> measurement_pb2.Measurement:
    measurement.task_id = "t1"
    return measurement


def test_the_page_has_a_column_of_the_score_in_each_section() -> None:
    page = render_html(
        [regression(), normal()], generated_at=dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), controller="x"
    )
    assert '<th scope="col">rmse</th>' in page
    assert '<th scope="col">accuracy</th>' in page
    assert "Root mean square error against latency" in page
    assert "worse in latency, rmse, size" in page
    rows = make_rows(regression())
    score = rows[3].cells[make_head(regression()).index("rmse")]
    assert score.value == "0.262"
    assert "500 samples" in score.details


def test_the_plot_says_that_less_is_better_and_draws_the_front_downwards() -> None:
    drawn = draw_tradeoff(make_series(regression()), name="t", width=640.0)
    assert drawn is not None
    assert "rmse (better is down and to the left)" in drawn
    assert "accuracy (better is up and to the left)" in str(draw_tradeoff(make_series(normal()), name="t", width=640.0))


def test_tables_for_spreadsheets_keep_metrics_apart() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv([regression(), normal()]))))
    by_rmse, by_accuracy = rows[3], rows[7]
    assert float(by_rmse["rmse"]) == 0.262
    assert float(by_rmse["rmse_low"]) == pytest.approx(0.252)
    assert by_rmse["accuracy_fraction"] == by_accuracy["rmse"] == ""
    assert "another metric" in by_accuracy["rmse_note"]
    assert float(by_accuracy["accuracy_fraction"]) > 0.8


def test_a_unit_of_a_metric_is_in_the_name_of_its_column() -> None:
    measurement = regression(unit="dB")
    assert "rmse_db" in render_csv([measurement]).splitlines()[0].split(",")


def test_tables_for_papers_have_the_score_without_an_empty_unit() -> None:
    text = render_latex([regression()])
    assert "of rmse on taxi (less is better) over samples" in text
    assert "()" not in text


def test_facts_tiles_and_gaps_name_the_score() -> None:
    measurement = regression()
    facts = dict(method_facts(measurement))
    assert facts["Scored on"] == "taxi, 500 samples"
    assert facts["Scored by"] == "root mean square error (rmse), less is better"
    assert "rmse" in [tile.name for tile in make_tiles(measurement)]
    for variant in measurement.variants:
        variant.accuracy.CopyFrom(measurement_pb2.Estimate(unit="number", reason="the targets are all alike"))
    assert "rmse" in [gap.what for gap in find_gaps(measurement)]
    assert "rmse" in unmeasured_columns(list(measurement.variants), "rmse")
    assert "Scored by" not in dict(method_facts(normal()))


def test_the_model_card_names_the_score() -> None:
    measurement = regression()
    variant = measurement.variants[3]
    made = artifact("static-int8")
    made.digest = variant.artifact_digest
    card = model_card(made, lineage_chain=[], measurements=[measurement], task=None)
    assert "| rmse | 0.262 (0.252 to 0.272) |" in card
    assert "| rmse drop against the reference |" in card
    assert "; rmse on taxi (less is better)" in card


@pytest.mark.parametrize(("lost", "code"), [(0.001, 0), (0.1, 1)])
def test_compare_fails_on_a_sure_loss_of_1_percent_of_a_score_without_a_scale(lost: float, code: int) -> None:
    measurement = regression()
    del measurement.variants[1:3]
    candidate = measurement.variants[1]
    candidate.comparison = measurement_pb2.COMPARISON_VERDICT_FASTER
    candidate.accuracy_drop.CopyFrom(estimate(lost, lost, lost, "number"))
    assert _exit_code(measurement) == code
