"""Each mode on a terminal and on the page: its tables, its chart, and what was varied."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from rich.console import Console, RenderableType

from steelyard.report.cards import make_cards
from steelyard.report.html import render_html
from steelyard.report.labels import in_lines
from steelyard.report.mode_words import duration_text, mode_text
from steelyard.report.samples import write_blocks_csv, write_curves_csv, write_samples_csv
from steelyard.report.terminal import render_comparison, render_measurement
from steelyard.report.tiles import make_tiles
from steelyard_protocol.v1 import measurement_pb2, plan_pb2
from tests.controller.report.test_report_html import Checker
from tests.support import mode_rounds
from tests.support.mode_rounds import heated, of_every_mode, queued, rounds_of, stepped

MEASURED = of_every_mode()
AT = dt.datetime(2026, 11, 28, tzinfo=dt.timezone.utc)


def shown(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def titles(measurement: measurement_pb2.Measurement) -> list[str]:
    return [card.title for card in make_cards(measurement, name="m")]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", MEASURED)
def test_no_mode_is_wider_than_the_terminal(name: str, width: int) -> None:
    for render in (render_measurement, render_comparison):
        assert max(map(len, shown(render(MEASURED[name]), width).splitlines())) <= width


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("offline", ["(8 rounds, intervals at 95 %, offline)", "(speed-up: by throughput)", "p50 of a batch", "/s"]),
        ("paced", ["paced at 20/s, even arrivals", "response p50", "never began", "service p95"]),
        ("multi-stream", ["2 streams", "(speed-up: by throughput)", "busy cores", "1.5", " cores"]),
        (
            "sustained",
            ["sustained over 5 min", "last quarter", "last is slower by", "25.0 %", "45 to 80 C", "2.40 to 1.80 GHz"],
        ),
        ("stepwise", ["step by step, 1, 4, 16 steps", "16 steps", "per step", "each after the first"]),
    ],
)
def test_the_terminal_shows_what_a_mode_measures(name: str, texts: list[str]) -> None:
    text = shown(render_measurement(MEASURED[name]), 200)
    assert [one for one in texts if one not in text] == []


def test_a_single_stream_has_its_tail_and_its_rate_and_no_table_of_a_mode() -> None:
    text = shown(render_measurement(mode_rounds.measured(plan_pb2.ModeSpec(), {"original": 1e6})))
    assert "tail and load" in text
    assert "throughput" in text
    assert "\nto decide\n" in text.replace(" ", "").replace("todecide", "to decide")
    for word in ("response", "quarter", "steps", "around the model"):
        assert word not in text


def test_the_comparison_of_two_models_shows_the_figure_that_is_compared() -> None:
    text = shown(render_comparison(MEASURED["offline"]))
    assert "throughput" in text
    assert "faster" in text


def test_what_is_varied_stands_in_the_heading_and_labels_break_between_words() -> None:
    measurement = mode_rounds.measured(plan_pb2.ModeSpec(), {"original threads=1": 1e6, "original threads=2": 5e5})
    for count, one in enumerate(measurement.plan.artifacts, start=1):
        one.runtime.intra_op_thread_count = count
    text = shown(render_measurement(measurement))
    assert "varied: threads 1, 2" in " ".join(text.split())
    lines = [line.strip() for line in text.splitlines()]
    assert any(line.startswith("original ") for line in lines)
    assert any(line.startswith("threads=2") for line in lines)
    page = render_html([measurement], generated_at=AT, controller="laptop")
    assert "<dt>Varied</dt><dd>threads 1, 2</dd>" in page
    assert "Size against latency" not in titles(_one_file(measurement)), "one file under two settings has one size"


def _one_file(measurement: measurement_pb2.Measurement) -> measurement_pb2.Measurement:
    for one in measurement.variants:
        one.size_bytes = 1000
    return measurement


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("original", ["original"]),
        ("a b", ["a b"]),
        ("original threads=2 spinning=off", ["original", "threads=2", "spinning=off"]),
        ("net graph-optimization=all", ["net", "graph-", "optimization=", "all"]),
        ("x" * 30, ["x" * 14, "x" * 14, "xx"]),
    ],
)
def test_a_label_of_several_words_is_broken_between_them(label: str, lines: list[str]) -> None:
    assert in_lines(label, 14).split("\n") == lines


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("sustained", "Under sustained load"),
        ("paced", "Response times"),
        ("stepwise", "Steps of a sequence"),
    ],
)
def test_a_mode_has_its_chart_and_no_other_has_it(name: str, title: str) -> None:
    assert title in titles(MEASURED[name])
    assert all(title not in titles(other) for key, other in MEASURED.items() if key != name)


def test_a_curve_shows_temperature_and_clock_where_they_were_read() -> None:
    with_heat = _card(MEASURED["sustained"], "Under sustained load")
    assert ">temperature<" in with_heat
    assert ">clock<" in with_heat
    assert "4 min" in with_heat
    assert "first quarter 1.0" in with_heat
    without = mode_rounds.measured(
        mode_rounds.SUSTAINED, {"original": 1e6}, (lambda block: heated(block, with_heat=False),)
    )
    assert ">temperature<" not in _card(without, "Under sustained load")


def _card(measurement: measurement_pb2.Measurement, title: str) -> str:
    (card,) = [card for card in make_cards(measurement, name="m") if card.title == title]
    return str(card.wide)


def test_the_chart_of_steps_has_a_mark_for_each_number_of_steps() -> None:
    chart = _card(MEASURED["stepwise"], "Steps of a sequence")
    assert chart.count('class="error"') == 6
    assert "1 steps 3.0" in chart
    assert "16 steps 18" in chart


@pytest.mark.parametrize("name", MEASURED)
def test_the_page_of_each_mode_is_well_formed_and_has_its_tables(name: str) -> None:
    page = render_html([MEASURED[name]], generated_at=AT, controller="laptop")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.labels) <= set(checker.ids)
    assert "<h3>tail and load</h3>" in page
    assert f"<dt>Compared by</dt><dd>{MEASURED[name].primary_figure}</dd>" in page


@pytest.mark.parametrize("name", MEASURED)
def test_the_tile_beside_the_decision_is_the_figure_that_is_compared(name: str) -> None:
    measurement = MEASURED[name]
    names = [tile.name for tile in make_tiles(measurement)]
    assert measurement.primary_figure in names


def test_percentiles_that_lack_samples_are_explained_on_the_page() -> None:
    few = mode_rounds.measured(mode_rounds.PACED, {"original": 1e6}, (queued,), count=3)
    page = render_html([few], generated_at=AT, controller="laptop")
    assert "response p99: p99 needs 662 samples in all, there are 300" in page


def test_what_lacks_an_interval_for_one_reason_is_told_together() -> None:
    alone = mode_rounds.measured(mode_rounds.SUSTAINED, {"original": 1e6}, (heated,), count=1)
    text = " ".join(shown(render_measurement(alone)).split())
    assert text.count("an interval needs 3 rounds, there is 1") == 2, "a footnote and a note"
    assert "interval of p50 latency, p90 latency, model load" in text


@pytest.mark.parametrize(
    ("duration_ms", "text"), [(300, "300 ms"), (45_000, "45 s"), (90_000, "1.5 min"), (5_400_000, "1.5 h")]
)
def test_durations_are_read_at_a_glance(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text


def test_a_batch_that_all_share_is_part_of_the_mode() -> None:
    plan = plan_pb2.Plan(mode=mode_rounds.OFFLINE)
    plan.artifacts.add(batch_size=8)
    assert mode_text(plan) == "offline, batch 8"
    plan.artifacts.add(batch_size=16)
    assert mode_text(plan) == "offline"


def _table(write: object, rounds: object) -> list[dict[str, str]]:
    stream = io.StringIO()
    write(rounds, stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue())))


def test_samples_have_their_response_their_sequence_and_their_step() -> None:
    paced = _table(write_samples_csv, rounds_of({"original": 1e6}, (queued,), count=1))
    assert all(int(row["response_ns"]) == int(row["latency_ns"]) + 200_000 for row in paced)
    assert {row["step"] for row in paced} == {""}

    def in_a_row(block: object) -> None:
        stepped(block)
        del block.latency_ns[:]
        block.latency_ns.extend(step for sequence in block.sequences for step in sequence.step_ns)

    rows = _table(write_samples_csv, rounds_of({"original": 1e6}, (in_a_row,), count=1))
    assert [(row["sequence"], row["step"]) for row in rows[15:18]] == [("0", "16"), ("1", "1"), ("1", "2")]
    assert int(rows[16]["latency_ns"]) == 3 * int(rows[17]["latency_ns"])


def test_points_of_curves_are_a_table_and_what_was_not_read_is_empty() -> None:
    rows = _table(write_curves_csv, rounds_of({"original": 1e6}, (heated,), count=2))
    assert len(rows) == 120
    assert (rows[0]["temperature_c"], rows[59]["temperature_c"]) == ("45.0", "80.0")
    assert rows[1]["offset_ms"] == "7500"
    bare = _table(write_curves_csv, rounds_of({"original": 1e6}, (lambda one: heated(one, with_heat=False),), count=1))
    assert {row["frequency_hz"] for row in bare} == {""}
    assert _table(write_curves_csv, rounds_of({"original": 1e6}, count=1)) == []


def test_blocks_have_their_window_their_batch_and_what_is_around_the_model() -> None:
    def around(block: object) -> None:
        block.preprocessing_ns.extend([10, 30, 20])

    (row,) = _table(write_blocks_csv, rounds_of({"original": 1e6}, (around,), count=1))
    assert int(row["cpu_ns"]) == int(row["window_ns"]) * 3 // 2
    assert row["batch_size"] == "1"
    assert row["preprocessing_ns"] == "20.0"
    assert row["postprocessing_ns"] == ""
    assert row["missed_count"] == ""
