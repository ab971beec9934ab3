"""A series in a terminal: within 80 columns, every value, gap and change at its place."""

from __future__ import annotations

import pytest

from steelyard.report.history.columns import lay_out
from steelyard.report.history.story import SeriesNight, SeriesStory, tell
from steelyard.report.history.text_plot import ASCII, UNICODE, Glyphs, overview, plot, runs_text
from steelyard_protocol.v1 import nightly_pb2
from tests.controller.report.history.told_series import ENVIRONMENTS, story, told_points, told_series, told_texts

REPLACED = nightly_pb2.SeriesMark(night_number=6, kind="device_replaced", message="pi5-b took the place of pi5")


def rows(text: str, glyphs: Glyphs = UNICODE) -> list[str]:
    """Return the lines of the plot, without what is left of its side."""
    lines = [line for line in text.splitlines() if f" {glyphs.side}" in line]
    return [line[line.index(glyphs.side) + 1 :] for line in lines]


@pytest.mark.parametrize("night_count", [1, 2, 7, 23, 69, 70, 90, 365, 4000])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_however_many_nights_it_fits_80_columns(night_count: int, glyphs: Glyphs) -> None:
    told = story(night_count, step_at=night_count // 2, gaps=range(3, night_count, 17), marks=[REPLACED])
    text = plot(told, glyphs=glyphs)
    assert max(map(len, text.splitlines())) <= 80
    assert sum(row.count(glyphs.point) for row in rows(text, glyphs)) >= min(night_count, 20) - 2
    if glyphs is ASCII:
        assert text.isascii()


def test_each_of_few_nights_is_a_point_of_its_own_column() -> None:
    plotted = rows(plot(story(23, gaps={4})))
    columns = list(zip(*(row.ljust(67) for row in plotted), strict=True))
    assert [sum(cell == UNICODE.point for cell in column) for column in columns[::3]] == [1] * 3 + [0] + [1] * 19


def test_a_higher_value_is_higher_and_the_axis_says_how_high() -> None:
    points = [nightly_pb2.Point(night_number=night, value=value) for night, value in ((2, 30e6), (1, 20e6))]
    lines = plot(tell(told_series(2), points, environments={}, days={})).splitlines()
    first, last = lines[3], lines[12]
    assert (first.split(" ┤")[0].strip(), first.rstrip()[-1]) == ("30.0 ms", "●")
    assert (last.split(" ┤")[0].strip(), last.split("┤")[1].rstrip()) == ("20.0 ms", "●")


def test_noise_of_a_steady_series_does_not_fill_the_height() -> None:
    points = [nightly_pb2.Point(night_number=night, value=20e6 + night) for night in range(9, 0, -1)]
    plotted = rows(plot(tell(told_series(9), points, environments={}, days={})))
    assert sum(UNICODE.point in row for row in plotted) <= 2


def test_gaps_and_changes_stand_below_their_nights_and_are_explained() -> None:
    text = plot(story(23, step_at=12, gaps={3, 4, 9}, marks=[REPLACED]))
    floor = next(line for line in text.splitlines() if UNICODE.corner in line)
    letters = text.splitlines()[text.splitlines().index(floor) + 1]
    begin = floor.index(UNICODE.corner) + 1
    assert [index // 3 + 1 for index, cell in enumerate(floor[begin:]) if cell == UNICODE.gap] == [3, 4, 9]
    assert {letter: (letters.index(letter) - begin) // 3 + 1 for letter in "ab"} == {"a": 6, "b": 12}
    assert "a night 6  pi5-b took the place of pi5" in text
    assert "b night 12  runtime onnxruntime 1.19.2 -> onnxruntime 1.20.0" in text
    assert "b night 12  another level from here on: +" in text
    assert f"{UNICODE.gap} 3 nights without a value\n  3 to 4, 9: the device was offline" in text


def test_the_last_value_and_the_middle_since_the_accepted_change_are_said() -> None:
    told = tell(told_series(9, accepted_night=5), told_points(9), environments=ENVIRONMENTS, days={})
    text = plot(told)
    assert ", night 9\nmiddle of 5 nights since night 5: " in text
    assert "nights 1 to 9\n" in text
    assert "(day 1 to day 9)" in plot(story(9))


def test_values_that_are_texts_are_listed_by_the_nights_that_had_them() -> None:
    series = told_series(4, metric="placement", unit="")
    text = plot(tell(series, told_texts("cpu:12", "cpu:12", "cpu:10", "cpu:12"), environments={}, days={}))
    assert "last: cpu:12, night 4\n  1 to 2, 4: cpu:12\n  3: cpu:10" in text


def test_a_series_of_gaps_alone_and_one_without_nights_say_so() -> None:
    assert "no night measured it" in plot(tell(told_series(0), [], environments={}, days={}))
    text = plot(story(3, gaps={1, 2, 3}))
    assert f"{UNICODE.gap} 3 nights without a value\n  1 to 3: the device was offline" in text


def test_many_series_are_two_lines_each_with_a_bar_a_night() -> None:
    stories = [story(9, step_at=5, gaps={2}), story(200), tell(told_series(0), [], environments={}, days={})]
    lines = overview(stories).splitlines()
    assert lines[0] == "p50 of mobilenet on pi5 (onnxruntime)"
    bars = lines[1][24:]
    assert (len(bars), bars[1], max(bars[:4].replace(UNICODE.gap, "")) < min(bars[4:])) == (9, UNICODE.gap, True)
    assert (len(lines[3][24:]), lines[5]) == (54, "  no night")
    assert max(map(len, lines)) <= 80


def test_runs_of_nights_are_told_as_runs() -> None:
    assert runs_text([1, 2, 3, 7, 9, 10]) == "1 to 3, 7, 9 to 10"


def test_a_night_that_is_missing_altogether_leaves_its_place_empty() -> None:
    nights = [SeriesNight(number=number, day="", value=1.0) for number in (1, 2, 6)]
    layout = lay_out(nights, 40)
    assert [len(column.values) for column in layout.columns] == [1, 1, 0, 0, 0, 1]
    assert (layout.place(6), layout.place(7)) == (15, None)


def test_the_range_of_values_holds_zeros_and_negative_ones() -> None:
    nights = tuple(SeriesNight(number=index, day="", value=value) for index, value in enumerate((0.0, -1.0, 0.0), 1))
    fields = dict.fromkeys(("suite", "model", "device", "device_id", "runtime", "metric"), "x")
    assert "-1.00" in plot(SeriesStory(**fields, unit="number", nights=nights, changes=()))
    zeros = tuple(SeriesNight(number=index, day="", value=0.0) for index in (1, 2))
    assert "last: 0" in plot(SeriesStory(**fields, unit="number", nights=zeros, changes=()))
