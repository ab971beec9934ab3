"""Energy as people see it: terminal at 80 columns, the page's card and table, with scope and idle."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from rich.console import Console

from steelyard.analysis.measurement import build_measurement
from steelyard.report.cards import make_cards
from steelyard.report.energy import energy_tables
from steelyard.report.full_table import make_rows
from steelyard.report.gaps import find_gaps, gap_text
from steelyard.report.html import render_html
from steelyard.report.terminal import render_comparison, render_measurement
from steelyard_protocol.v1 import measurement_pb2
from tests.controller.analysis.planted_energy import energy_rounds
from tests.controller.analysis.planted_rounds import given, latency_rounds

WATTS = {"original": 8.0, "static-int8-per-channel": 2.004}


def measured(**fields: object) -> measurement_pb2.Measurement:
    rounds = energy_rounds(WATTS, **fields)
    return build_measurement(given(list(WATTS), [*latency_rounds(dict.fromkeys(WATTS, 1e7), 6), *rounds]))


def text(measurement: measurement_pb2.Measurement, render=render_measurement, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(render(measurement))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("render", [render_measurement, render_comparison])
def test_the_terminal_shows_gross_net_power_and_idle_with_the_scope(render, width: int) -> None:
    shown = text(measured(), render, width)
    assert max(map(len, shown.splitlines())) <= width
    plain = " ".join(shown.split())
    assert "energy of the module, by /sys/class/hwmon/hwmon1 (ina3221, VDD_IN)" in plain
    assert "net of idle mean power" in plain
    assert "not distinguishable from idle" in plain
    assert "8.00 W" in plain
    assert "idle: 2.00 W (1.99 to 2.01)" in plain


def test_what_confidence_lacks_is_a_footnote() -> None:
    measurement = measured()
    for reading in measurement.variants[0].energy_readings:
        if reading.name == "energy_per_inference":
            reading.reason = "low_confidence: the window lasted 3.0 s, less than 10 s"
    plain = " ".join(text(measurement).split())
    assert "low confidence: the window lasted 3.0 s, less than 10 s" in plain
    page = render_html([measurement], generated_at=dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc), controller="c")
    assert "original: energy of the module: low confidence: the window lasted 3.0 s" in page


def test_the_page_has_a_bar_of_idle_and_of_what_is_above_it_with_the_interval() -> None:
    measurement = measured()
    card = next(one for one in make_cards(measurement, name="m") if one.title == "Energy")
    assert card.legend == (("mapped", "idle"), ("own", "above idle"))
    for drawing in (card.wide, card.narrow):
        assert drawing.count('class="whisker"') == 2
        assert drawing.count('class="mapped"') == 2
        assert "idle: 2.00 W" in drawing
        assert "net not distinguishable from idle" in drawing
    cells = {row.label: row.cells[8] for row in make_rows(measurement)}
    assert {"net not distinguishable", "from idle"} <= set(cells["static-int8-per-channel"].details)
    assert any(detail.startswith(("net 60.", "net 59.")) for detail in cells["original"].details)
    assert "mean 8.00 W" in cells["original"].details
    page = render_html([measurement], generated_at=dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc), controller="c")
    assert "Idle power" in page


def test_without_a_baseline_the_bar_is_whole_and_the_flag_is_named() -> None:
    rounds = energy_rounds(WATTS)
    for one in rounds:
        for index in (3, 0):
            del one.blocks[index]
    measurement = build_measurement(given(list(WATTS), [*latency_rounds(dict.fromkeys(WATTS, 1e7), 6), *rounds]))
    card = next(one for one in make_cards(measurement, name="m") if one.title == "Energy")
    assert "no idle baseline" in card.wide
    assert "net energy: no idle baseline was measured (--idle-window)" in [
        gap_text(gap) for gap in find_gaps(measurement)
    ]
    plain = " ".join(text(measurement).split())
    assert "net of idle" not in plain
    assert "energy of the module" in plain


def test_a_device_without_a_sensor_has_one_reason_and_no_table() -> None:
    measurement = build_measurement(given(list(WATTS), latency_rounds(dict.fromkeys(WATTS, 1e7), 6)))
    assert energy_tables(measurement) == ()
    assert "Energy" not in [one.title for one in make_cards(measurement, name="m")]
    said = [gap_text(gap) for gap in find_gaps(measurement)]
    assert "energy: the device described no power meter" in said
    assert not [one for one in said if one.startswith("net energy")]


def test_an_absurdly_long_source_is_cut_in_the_drawing() -> None:
    measurement = measured()
    for variant in measurement.variants:
        for reading in variant.energy_readings:
            reading.source = "/sys/" + "x" * 500
    card = next(one for one in make_cards(measurement, name="m") if one.title == "Energy")
    assert "\N{HORIZONTAL ELLIPSIS}" in card.narrow
