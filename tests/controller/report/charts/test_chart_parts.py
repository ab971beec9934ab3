from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steelyard.report.charts.canvas import Canvas, marker, text_width
from steelyard.report.charts.placement import Box, place_labels
from steelyard.report.charts.scales import Scale, fitted, from_zero, tick_text, unit_size
from steelyard.report.charts.series import make_series
from tests.support import measurements

positive = st.floats(1e-3, 1e13, allow_nan=False)


@given(st.lists(positive, min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_fitted_scale_holds_every_value_and_has_ticks(values: list[float]) -> None:
    scale = fitted(values, start=0.0, end=500.0)

    ticks = scale.ticks(5)
    assert all(-1e-6 <= scale(value) <= 500.0 + 1e-6 for value in values)
    assert 3 <= len(ticks) <= 20
    assert list(ticks) == sorted(set(ticks))
    assert all(scale.low <= tick * (1 + 1e-9) and tick <= scale.high * (1 + 1e-9) for tick in ticks)


@given(positive, st.floats(1.0001, 1e6))
@settings(max_examples=100, deadline=None)
def test_a_scale_keeps_the_order_of_values(low: float, factor: float) -> None:
    scale = fitted([low, low * factor], start=0.0, end=100.0)

    assert scale(low) < scale(low * factor)


def test_wide_ranges_are_logarithmic_and_narrow_ones_are_not() -> None:
    assert fitted([1.0, 100.0], start=0, end=1).is_log
    assert not fitted([1.0, 2.0], start=0, end=1).is_log


def test_noise_is_not_blown_up_to_the_whole_axis() -> None:
    scale = fitted([1000.0, 1000.5], start=0, end=100)

    assert abs(scale(1000.5) - scale(1000.0)) < 2


def test_values_beyond_the_axis_stay_near_it() -> None:
    scale = Scale(low=1, high=10, start=0, end=100, is_log=True)

    assert scale(1e9) == pytest.approx(110)
    assert scale(0.0) == pytest.approx(-10)


def test_bars_start_at_zero_even_when_there_is_nothing() -> None:
    assert from_zero([], start=0, end=10).high == 1.0
    assert from_zero([4.0], start=0, end=10).low == 0.0


@pytest.mark.parametrize(("low", "high", "is_log"), [(1, 1, False), (2, 1, False), (0, 1, True), (0, math.inf, False)])
def test_a_scale_that_shows_nothing_is_refused(low: float, high: float, is_log: bool) -> None:
    with pytest.raises(ValueError, match="scale"):
        Scale(low=low, high=high, start=0, end=1, is_log=is_log)


def test_ticks_of_bytes_are_round_in_the_unit_of_the_axis() -> None:
    scale = from_zero([70.0 * 1024 * 1024], start=0, end=400)
    size = unit_size(scale, "B")

    assert [tick_text(tick, "B", size) for tick in scale.ticks(4, unit_size=size)] == [
        "0 MiB",
        "20 MiB",
        "40 MiB",
        "60 MiB",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.2e6, "ns", "1.2 ms"),
        (1e6, "ns", "1 ms"),
        (0.915, "fraction", "91.5 %"),
        (2.0, "ratio", "2x"),
        (100, "ns", "100 ns"),
    ],
)
def test_tick_text_drops_digits_that_say_nothing(value: float, unit: str, text: str) -> None:
    assert tick_text(value, unit) == text


@given(st.lists(st.tuples(st.floats(60, 560), st.floats(40, 280)), min_size=1, max_size=8, unique=True))
@example([(60.0, 40.0), (79.5, 40.0)])
@settings(max_examples=60, deadline=None)
def test_labels_stay_within_their_bounds(points: list[tuple[float, float]]) -> None:
    bounds = Box(left=0, top=0, right=640, bottom=320)

    places = place_labels(points, [70.0] * len(points), [10.0] * len(points), [], bounds)

    assert all(place.box.left > -1e-6 and place.box.right < 640 + 1e-6 for place in places)
    assert all(place.box.top > -1e-6 and place.box.bottom < 320 + 1e-6 for place in places)


def test_labels_of_neighbours_do_not_overlap() -> None:
    points = [(300.0 + 3 * index, 150.0 + 2 * index) for index in range(6)]

    places = place_labels(points, [80.0] * 6, [10.0] * 6, [], Box(left=0, top=0, right=640, bottom=320))

    boxes = [place.box for place in places]
    assert all(a.overlap(b) == 0 for index, a in enumerate(boxes) for b in boxes[index + 1 :])
    assert any(place.leader is not None for place in places)


def test_a_canvas_escapes_text_and_drops_control_characters() -> None:
    canvas = Canvas(name="x", width=10, height=10, title="<b>&", description="d\x07")
    with canvas.group(colour="var(--v1)", tip="</svg>"):
        for shape in range(6):
            marker(canvas, (5, 5), shape, 3, "mark")

    text = str(canvas.markup())
    assert "&lt;b&gt;&amp;" in text
    assert text.count("</svg>") == 1
    assert "\x07" not in text
    assert text.count("<circle") == 2
    assert text.count("<path") == 4


def test_wide_letters_are_counted_wider() -> None:
    assert text_width("mmm") > text_width("aaa") > text_width("iii")
    assert text_width("\N{CJK UNIFIED IDEOGRAPH-4E2D}") > text_width("a")


def test_two_variants_never_share_both_colour_and_marker() -> None:
    series = make_series(measurements.crowded())

    assert len({(one.colour, one.shape) for one in series}) == len(series)
    assert [one.colour for one in series if one.variant.is_reference] == ["var(--v0)"]


def test_failed_variants_are_not_drawn() -> None:
    assert len(make_series(measurements.with_failures())) == 3


def test_a_value_next_to_nothing_does_not_take_the_scale_with_it() -> None:
    scale = fitted([1e-320, 2.0], start=0.0, end=100.0)
    assert scale.is_log
    assert 0 < scale.low < scale.high < math.inf
    assert len(scale.ticks()) >= 2
