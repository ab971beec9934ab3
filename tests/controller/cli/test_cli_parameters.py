"""Types of flags."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.cli.parameters import DURATION, DURATION_OR_NONE, INPUT_SHAPE, UNTIL

sizes_of_a_shape = st.lists(st.integers(1, 10_000), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("10m", 600.0),
        ("2d", 172_800.0),
        ("1.5h", 5400.0),
        ("200ms", 0.2),
        ("7", 7.0),
        (" 3s ", 3.0),
        (2.5, 2.5),
    ],
)
def test_a_time_is_read_in_each_unit(text: object, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == pytest.approx(seconds)


@given(st.integers(1, 9_999), st.sampled_from(["ms", "s", "m", "h"]))
def test_a_time_is_above_zero_and_grows_with_its_number(number: int, unit: str) -> None:
    assert 0 < DURATION.convert(f"{number}{unit}", None, None) < DURATION.convert(f"{number + 1}{unit}", None, None)


@pytest.mark.parametrize("text", ["", "soon", "-3s", "3 s", "3w", "1e3s", "٣s\n", "3s\n4s"])
def test_what_is_no_time_is_named_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        DURATION.convert(text, None, None)
    assert "10m" in caught.value.message


@pytest.mark.parametrize("text", ["0", "0s", "0.0h", "10001h", "9" * 400])
def test_a_time_that_is_none_or_beyond_any_job_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="10000h"):
        DURATION.convert(text, None, None)


def test_a_time_that_may_be_none_is_zero_and_no_more_than_any_other() -> None:
    assert (DURATION_OR_NONE.convert("0s", None, None), DURATION_OR_NONE.convert("30s", None, None)) == (0.0, 30.0)
    with pytest.raises(click.BadParameter, match="10000h"):
        DURATION_OR_NONE.convert("10001h", None, None)


def test_a_size_that_no_device_has_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="4294967296"):
        INPUT_SHAPE.convert("image=1x4294967296", None, None)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1), sizes_of_a_shape)
def test_a_shape_comes_out_as_it_was_written(name: str, sizes: list[int]) -> None:
    text = f"{name}={'x'.join(map(str, sizes))}"
    assert INPUT_SHAPE.convert(text, None, None) == (name, tuple(sizes))


def test_a_name_may_hold_an_equals_sign_and_a_read_shape_stays() -> None:
    assert INPUT_SHAPE.convert("a=b=1x2", None, None) == ("a=b", (1, 2))
    assert INPUT_SHAPE.convert(("a", (1,)), None, None) == ("a", (1,))


@pytest.mark.parametrize("text", ["image", "image=", "=1x2", "image=1x", "image=1x0", "image=-1x2", "image=1*2"])
def test_what_is_no_shape_is_named_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        INPUT_SHAPE.convert(text, None, None)
    assert repr(text) in caught.value.message
    assert "image=1x3x224x224" in caught.value.message


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("14d", timedelta(days=14)),
        ("90m", timedelta(minutes=90)),
        ("2026-12-24", datetime(2026, 12, 24, tzinfo=timezone.utc)),
        ("2026-12-24T08:30:00+02:00", datetime(2026, 12, 24, 6, 30, tzinfo=timezone.utc)),
    ],
)
def test_an_end_is_a_time_from_now_on_or_a_day(text: str, end: timedelta | datetime) -> None:
    assert UNTIL.convert(text, None, None) == end


@pytest.mark.parametrize("text", ["", "tomorrow", "0d", "2026-13-01", "2026-12-24 8", "20000d"])
def test_what_is_no_end_is_named_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"2026-12-24|10000h"):
        UNTIL.convert(text, None, None)
