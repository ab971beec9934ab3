from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from steelyard.nightly.night_findings import Outcome, Sparkline
from steelyard.nightly.night_report import (
    Coverage,
    DeviceHealth,
    DeviceState,
    Gap,
    MatrixRow,
    NightReport,
    NightVerdict,
)
from steelyard.report.night.html import MOST_ROWS, render_night
from steelyard.report.night.junit import render_junit
from steelyard.report.night.markdown import render_markdown
from steelyard.report.night.terminal import render_night_summary
from steelyard.report.night.words import rounds_text
from tests.controller.nightly.night_documents import bad_night, finding, quiet_night

FORMATS: dict[str, Callable[[NightReport], str]] = {
    "html": render_night,
    "markdown": render_markdown,
    "junit": render_junit,
}


def on_terminal(report: NightReport, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(render_night_summary(report))
    return file.getvalue()


def plain_words(text: str) -> str:
    """Without tags, escapes and line breaks, so that sentences can be looked for in any format."""
    bare = re.sub(r"<[^>]*>", " ", text) if "<" in text else text
    bare = bare.replace("\\", "").replace("&gt;", ">").replace("&#39;", "'").replace("&quot;", '"')
    return " ".join(bare.split())


def device(state: DeviceState, sentence: str) -> DeviceHealth:
    return DeviceHealth(device="pi4", device_id="dev-2", state=state, sentence=sentence, planned_count=24)


def nobody_came() -> NightReport:
    gap = Gap(
        model="", device="", runtime="", metric="", code="no_device", reason="no device of the suite was connected"
    )
    return replace(
        quiet_night(),
        verdict=NightVerdict.INCOMPLETE,
        sentence="No device of the suite was connected.",
        exit_code=3,
        matrix=(),
        devices=(),
        coverage=Coverage(planned_count=24, measured_count=0, gaps=(gap,)),
    )


BAD_NIGHTS = {
    "nobody came": (nobody_came(), "No device of the suite was connected."),
    "half offline": (
        replace(quiet_night(), devices=(device(DeviceState.OFFLINE, "Not seen since 2026-11-27 19:40."),)),
        "Not seen since 2026-11-27 19:40.",
    ),
    "throttled": (
        replace(quiet_night(), devices=(device(DeviceState.THROTTLED, "Capped at 1.5 GHz in 9 of 12 rounds."),)),
        "Capped at 1.5 GHz in 9 of 12 rounds.",
    ),
    "sentinel moved": (
        replace(quiet_night(), devices=(device(DeviceState.DRIFTED, "The sentinel is 11.8 % slower."),)),
        "The sentinel is 11.8 % slower.",
    ),
    "removed model": (
        replace(
            quiet_night(),
            coverage=Coverage(
                planned_count=24,
                measured_count=23,
                gaps=(
                    Gap(
                        model="faces",
                        device="pi5",
                        runtime="onnxruntime",
                        metric="",
                        code="removed_model",
                        reason="the suite does not name it any more",
                    ),
                ),
            ),
        ),
        "the suite does not name it any more",
    ),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", BAD_NIGHTS)
def test_a_bad_night_has_its_line_in_every_format(name: str, form: str) -> None:
    report, line = BAD_NIGHTS[name]

    text = ET.tostring(ET.fromstring(render_junit(report)), encoding="unicode") if form == "junit" else None

    assert line.rstrip(".") in plain_words(text.replace('"', " > ") if text else FORMATS[form](report)) or (
        text is not None and line in text
    )


@pytest.mark.parametrize("name", BAD_NIGHTS)
def test_a_bad_night_has_its_line_on_the_terminal(name: str) -> None:
    report, line = BAD_NIGHTS[name]

    assert line in plain_words(on_terminal(report))


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_odd_things_about_the_night_come_first(form: str) -> None:
    notes = ("This is the suite's first night: there is nothing to compare with.", "The clock went back by 2 h.")
    text = plain_words(FORMATS[form](replace(bad_night(), notes=notes)))

    for note in notes:
        assert note in text
        assert text.index(note) < text.index("onnxruntime 1.19.2 to 1.20.0")


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_parts_stand_in_the_order_in_which_a_night_is_read(form: str) -> None:
    text = plain_words(FORMATS[form](bad_night()))
    order = ["REGRESSED", "1 regression confirmed", "onnxruntime 1.19.2 to 1.20.0", "Suspected", "Undecided"]
    order += ["Not reproduced", "Improvements", "Fixed", "Known", "Devices", "not seen", "faces p50 on pi4", "Method"]

    places = [text.index(one) for one in order[:2]]
    for one in order[2:]:
        places.append(text.index(one, places[-1]))

    assert places == sorted(places)


def test_a_confirmed_regression_shows_its_figures_interval_and_command() -> None:
    page = plain_words(render_night(bad_night()).replace("\N{NO-BREAK SPACE}", " "))

    for part in ("1.20 ms", "1.29 ms", "+7.5 %", "+6.1 % to +8.9 %", "12 interleaved rounds", "night 31 (2026-11-28)"):
        assert part in page
    assert "steelyard compare keywords.onnx keywords.onnx --device pi5" in page
    assert "runtime_version: 1.19.2 → 1.20.0" in page


def test_the_page_needs_nothing_else_and_escapes_what_names_say() -> None:
    odd = replace(finding(), reason="<script>alert(1)</script>\x1b[31m", outcome=Outcome.SUSPECTED)
    page = render_night(replace(bad_night(), suspected=(odd,)))

    assert "<script" not in page
    assert "\x1b" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page


class _Balance(HTMLParser):
    """Refuses a page whose elements do not end in turn."""

    EMPTY = frozenset({"meta", "link", "br", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A drawing's element that holds nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_its_ids_are_unique() -> None:
    balance = _Balance()
    balance.feed(render_night(bad_night()))

    assert balance.open == []
    assert len(set(balance.ids)) == len(balance.ids)


def test_thousands_of_findings_and_gaps_stay_readable() -> None:
    many = tuple(finding(outcome=Outcome.SUSPECTED) for _ in range(5_000))
    gaps = tuple(
        Gap(model=f"m{number}", device=f"pi{number % 10}", runtime="litert", metric="", code="offline", reason="away")
        for number in range(1_000)
    )
    report = replace(bad_night(), suspected=many, coverage=Coverage(planned_count=2_000, measured_count=900, gaps=gaps))

    page = render_night(report)

    assert len(page) < 2_000_000
    assert f"and {5_000 - MOST_ROWS:,} more" in page
    assert page.count(">away<") == 10
    assert len(render_markdown(report)) < 65_536
    assert "and 4,970 more" in render_markdown(report)
    assert len(on_terminal(report).splitlines()) < 100


def test_a_summary_that_does_not_fit_says_so() -> None:
    text = render_markdown(bad_night(), longest=900)

    assert len(text) <= 900
    assert "The rest did not fit here" in text


def test_names_cannot_break_the_summary_table() -> None:
    odd = replace(finding(), series=replace(finding().series, model="a|b`c<img>@team"))
    text = render_markdown(replace(bad_night(), suspected=(odd,)))

    assert "a\\|b\\`c\\<img\\>\\@team" in text


def test_what_was_not_measured_is_skipped_and_a_regression_fails() -> None:
    suite = ET.fromstring(render_junit(bad_night()))[0]

    assert suite.get("failures") == "1"
    failed = suite.find("testcase/failure")
    assert failed is not None
    assert "+7.5" in (failed.get("message") or "")
    skipped = {case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None}
    assert "faces every metric" in skipped
    assert int(suite.get("tests", "0")) == len(list(suite.iter("testcase")))


def test_a_night_without_a_device_is_an_error_and_never_a_pass() -> None:
    suite = ET.fromstring(render_junit(nobody_came()))[0]

    assert suite.get("errors") == "1"
    assert all(case.find("skipped") is not None or case.find("error") is not None for case in suite.iter("testcase"))


def test_the_terminal_fits_eighty_columns() -> None:
    text = on_terminal(bad_night())

    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("REGRESSED 1 regression confirmed.")
    assert "Runtime: onnxruntime 1.19.2 to 1.20.0" in text


@pytest.mark.parametrize(
    ("values", "paths", "dots"),
    [
        ((1.0, 1.0, 1.0), 1, 1),
        ((1.0, 1.1, None, 1.2, 1.3), 2, 1),
        ((1.0, None, 1.1, 1.2), 1, 2),
        ((None, 1.0, None), 0, 0),
    ],
)
def test_nights_without_a_value_leave_a_hole_in_the_line(
    values: tuple[float | None, ...], paths: int, dots: int
) -> None:
    line = Sparkline(night_numbers=tuple(range(len(values))), values=values)
    page = render_night(replace(quiet_night(), improved=(finding(outcome=Outcome.IMPROVED, sparkline=line),)))

    assert page.count('class="thread"') == paths
    assert page.count("<circle") == dots


def test_series_without_a_history_are_skipped_and_not_steady() -> None:
    young = MatrixRow(metric="p50", counts=((Outcome.STEADY, 3), (Outcome.NOT_JUDGED, 2)))
    cases = ET.fromstring(render_junit(replace(quiet_night(), matrix=(young,)))).iter("testcase")
    told = {case.get("classname"): case for case in cases if case.get("name") == "p50"}
    assert told["steady"].find("skipped") is None
    skipped = told["not judged"].find("skipped")
    assert skipped is not None
    assert "2 series of p50 have too few nights" in (skipped.get("message") or "")


def test_rounds_are_interleaved_only_where_something_was_measured_beside_them() -> None:
    beside = finding()
    assert beside.ratio is not None
    alone = replace(beside, ratio=replace(beside.ratio, low=None, high=None))
    assert rounds_text(beside) == "12 interleaved rounds"
    assert rounds_text(alone) == "12 rounds"
