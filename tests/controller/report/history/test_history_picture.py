"""Series as one SVG: well formed, complete, and readable without the page that charts usually stand in."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from steelyard.report.history.picture import MOST_SERIES, draw
from steelyard.report.history.story import tell
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.report.history.told_series import story, told_series, told_texts

SVG = "{http://www.w3.org/2000/svg}"
REPLACED = nightly_pb2.SeriesMark(night_number=6, kind="device_replaced", message="<b>pi5-b</b> took its place")


def drawn(*stories: object) -> ET.Element:
    return ET.fromstring(draw(stories))  # type: ignore[arg-type]


def kinds(root: ET.Element, kind: str) -> list[ET.Element]:
    return [one for one in root.iter() if one.get("class") == kind]


def test_each_value_gap_and_change_is_drawn() -> None:
    root = drawn(story(40, step_at=20, gaps={3, 4}, marks=[REPLACED]))
    assert len(kinds(root, "dot")) == 38
    assert len(kinds(root, "gap")) == 4
    assert (len(kinds(root, "level")), len(kinds(root, "change"))) == (1, 2)
    assert [one.text for one in kinds(root, "letter")] == ["a", "b"]
    said = " ".join(one.text or "" for one in kinds(root, "note"))
    assert "a  night 6: <b>pi5-b</b> took its place" in said
    assert "2 of 40 nights without a value" in said


def test_the_line_is_broken_at_gaps() -> None:
    assert len(kinds(drawn(story(40, gaps={10, 20})), "thread")) == 3


def test_it_stands_alone_in_light_and_dark() -> None:
    text = draw([story(5)])
    assert text.startswith("<svg ")
    assert "prefers-color-scheme:dark" in text
    assert not {"http://", "https://"} & {word for word in ("https://",) if word in text}


def test_every_figure_lies_within_the_picture() -> None:
    root = drawn(story(1), story(2), story(400, step_at=100, gaps={7}))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for one in root.iter():
        for name, most in (("x", width), ("cx", width), ("x1", width), ("y", height), ("cy", height), ("y2", height)):
            assert 0.0 <= float(one.get(name, "0")) <= most


def test_series_without_numbers_are_told_in_words() -> None:
    texts = tell(told_series(1, metric="placement", unit=""), told_texts("cpu:12"), environments={}, days={})
    empty = tell(told_series(0), [], environments={}, days={})
    said = [one.text for one in kinds(drawn(texts, empty, story(2, gaps={1, 2})), "note")]
    assert said[0] == "suite shelf, nights 1 to 1; last cpu:12"
    assert said[1] == "suite shelf; no night measured it"
    assert said[3] == "\N{MULTIPLICATION SIGN}  2 of 2 nights without a value"


def test_a_picture_of_none_or_of_too_many_is_refused() -> None:
    for count in (0, MOST_SERIES + 1):
        with pytest.raises(ValueError, match=f"{count} series make no picture"):
            draw([story(2)] * count)
