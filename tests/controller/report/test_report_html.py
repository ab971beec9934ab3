from __future__ import annotations

import datetime as dt
import itertools
import re
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

from steelyard.report.cards import make_cards
from steelyard.report.html import render_html
from steelyard.report.tiles import make_tiles
from steelyard_protocol.v1 import measurement_pb2, plan_pb2
from tests.support import measurements

AT = dt.datetime(2026, 11, 23, 21, 31, tzinfo=dt.timezone(dt.timedelta(hours=1)))
# Linear RGB as dichromats see it: Machado, Oliveira and Fernandes 2009, severity 1.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


class Checker(HTMLParser):
    """Collects what a browser would see."""

    void = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.urls: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.void:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.labels += (value or "").split()
            if name in {"src", "href"} and not (value or "").startswith("#"):
                self.urls.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def render(*shown: measurement_pb2.Measurement) -> str:
    return render_html(shown, generated_at=AT, controller="steelyard 0.1.0 on laptop")


def check(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker


@pytest.mark.parametrize("name", measurements.every_case())
def test_the_page_is_well_formed_and_needs_nothing_from_outside(name: str) -> None:
    html = render(measurements.every_case()[name])

    checker = check(html)
    assert checker.open == []
    assert checker.urls == []
    assert "script" not in checker.tags
    assert "img" not in checker.tags
    assert "url(" not in html
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.labels) <= set(checker.ids)
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(checker.text[checker.text.index("Steelyard") :]))


def test_texts_of_others_cannot_become_markup() -> None:
    html = render(measurements.hostile())

    assert "<script>" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("</style>") == 1


def test_the_decision_comes_before_every_plot() -> None:
    measurement = measurements.normal()

    html = render(measurement)

    assert html.index(measurement.decision.sentence) < html.index("<figure")


def test_several_models_are_listed_first() -> None:
    html = render(measurements.normal(), measurements.crowded())

    assert html.index('href="#model-2"') < html.index('id="model-1"')
    assert '<nav aria-label="Models">' in html


def test_one_model_needs_no_list() -> None:
    assert "<nav" not in render(measurements.normal())


def test_no_measurement_gives_a_page_that_says_so() -> None:
    assert "Nothing was measured" in render()


def test_the_time_is_shown_in_utc() -> None:
    assert "2026-11-23 20:31 UTC" in render(measurements.normal())


def test_failures_warnings_notes_and_gaps_are_all_said() -> None:
    html = render(measurements.with_failures())

    for text in ("has no kernel for Conv", "powersave", "killed from outside", "no sensor; looked at powercap"):
        assert text in html


def test_requirements_are_shown_with_their_verdicts() -> None:
    html = render(measurements.undecided())

    assert "p90&lt;600us" in html
    assert '<li class="undecided">' in html


def test_the_method_names_the_options_that_were_asked_for() -> None:
    measurement = measurements.with_energy()
    runtime = measurement.variants[0].runtime
    runtime.graph_optimization = plan_pb2.GRAPH_OPTIMIZATION_EXTENDED
    runtime.spinning = False
    runtime.arena = True
    runtime.providers.add(name="XnnpackExecutionProvider")
    runtime.options["session.x"] = "1"
    measurement.plan.inputs.Clear()
    measurement.plan.core_ids.extend([2, 3])
    measurement.segment_count = 2

    html = render(measurement)

    for text in (
        "graph optimization extended",
        "spinning off, arena on, XnnpackExecutionProvider asked for, session.x=1",
        "drawn by signature, seed 0",
        "2, 3",
        "2 segments",
        "powercap/intel-rapl:0, scope soc",
    ):
        assert text in html
    measurement.variants[0].runtime.Clear()
    measurement.variants[0].runtime.name = "litert"
    assert "the runtime&#39;s defaults" in render(measurement)


def test_every_plot_is_there_when_its_data_is() -> None:
    titles = [card.title for card in make_cards(measurements.normal(), name="m")]

    assert titles == [
        "Accuracy against latency",
        "Speed-up",
        "Latency distributions",
        "Round by round",
        "Memory by phase",
        "Size and start-up",
    ]


def test_every_plot_has_a_wide_and_a_narrow_form() -> None:
    for card in make_cards(measurements.normal(), name="m"):
        assert 'viewBox="0 0 326 ' in card.narrow
        assert 'viewBox="0 0 326 ' not in card.wide


def test_without_accuracy_the_size_stands_in_its_place() -> None:
    cards = make_cards(measurements.without_accuracy(), name="m")

    assert cards[0].title == "Size against latency"


def test_without_any_variant_there_is_no_plot() -> None:
    assert make_cards(measurements.nothing_measured(), name="m") == ()


def test_figures_without_intervals_are_drawn_without_whiskers() -> None:
    measurement = measurements.normal()
    for variant in measurement.variants:
        for field in ("p50_latency", "accuracy", "speedup", "model_load"):
            getattr(variant, field).ClearField("low")
            getattr(variant, field).ClearField("high")

    cards = make_cards(measurement, name="m")

    assert 'class="error"' not in cards[0].wide
    assert 'class="whisker"' not in cards[1].wide


def test_memory_without_a_split_is_one_bar() -> None:
    measurement = measurements.normal()
    for variant in measurement.variants:
        variant.memory.ClearField("peak_resident_bytes")
        for phase in variant.memory.phases:
            phase.ClearField("file_bytes")

    memory = make_cards(measurement, name="m")[4]

    assert 'class="mapped"' not in memory.wide
    assert 'class="peak"' not in memory.wide


def test_a_cost_that_one_variant_lacks_is_said_in_its_place() -> None:
    measurement = measurements.with_energy()
    measurement.variants[1].energy.CopyFrom(measurements.unknown("J", "the sensor went away"))

    costs = next(card for card in make_cards(measurement, name="m") if card.title == "Energy")

    assert "not measured" in costs.wide


def test_a_comparison_that_was_not_made_is_said() -> None:
    measurement = measurements.normal()
    measurement.variants[1].ClearField("comparison")

    assert "not compared" in make_cards(measurement, name="m")[1].wide


def test_an_interruption_is_marked_between_rounds() -> None:
    rounds = make_cards(measurements.with_failures(), name="m")[3]

    assert rounds.wide.count('class="segment"') == 3


def test_the_tiles_show_what_the_named_variant_brings() -> None:
    tiles = {tile.name: tile for tile in make_tiles(measurements.with_energy())}

    assert tiles["speed-up"].value == "2.10x"
    assert tiles["p50 latency"].details[1] == "original 1.24 ms"
    assert tiles["file size"].details == ("27.2 % of original",)
    assert tiles["energy"].value == "2.48 mJ"


def test_the_tiles_of_the_original_compare_it_with_nothing() -> None:
    measurement = measurements.normal()
    measurement.decision.label = "original"

    tiles = {tile.name: tile for tile in make_tiles(measurement)}

    assert "speed-up" not in tiles
    assert tiles["file size"].details == ()


def test_a_tile_says_why_accuracy_is_not_known() -> None:
    measurement = measurements.without_accuracy()
    measurement.variants[3].ClearField("p50_latency")

    tiles = {tile.name: tile for tile in make_tiles(measurement)}

    assert tiles["accuracy"].details == ("no task was given",)
    assert "p50 latency" not in tiles


def themes() -> dict[str, dict[str, str]]:
    css = resources.files("steelyard.report").joinpath("templates/report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    return {
        name: dict(re.findall(r"--(\w[\w-]*): (#\w{6})", text)) for name, text in (("light", light), ("dark", dark))
    }


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(linear(colour) @ weights) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    cones = np.array(
        [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.6806995, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
    )
    lab = np.array(
        [
            [0.21045426, 0.79361779, -0.00407205],
            [1.9779985, -2.4285922, 0.4505937],
            [0.02590404, 0.78277177, -0.80867577],
        ]
    )
    return lab @ np.cbrt(cones @ rgb)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_stand_out_from_what_is_behind_them(theme: str) -> None:
    colours = themes()[theme]

    for name in ("text", "muted", "good", "bad", "open", "calm"):
        assert contrast(colours[name], colours["card"]) >= 4.5, name
    for name in ("good", "bad", "open", "calm"):
        assert contrast(colours[name], colours[f"{name}-soft"]) >= 4.5, name
    assert contrast(colours["muted"], colours["page"]) >= 4.5
    for number in range(8):
        assert contrast(colours[f"v{number}"], colours["card"]) >= 3.0, number


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_variants_differ_for_every_reader(theme: str, vision: str) -> None:
    seen = [
        oklab(np.clip(np.array(VISIONS[vision]) @ linear(themes()[theme][f"v{number}"]), 0, 1)) for number in range(8)
    ]

    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 0.07
