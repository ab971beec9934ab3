"""Maintenance windows by the clock on the wall."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.policy.windows import next_opening, parse_window

# A Saturday.
NOON = datetime(2026, 11, 28, 12, 0)  # noqa: DTZ001 (the clock on the wall has no zone)


def opening(now: datetime, *texts: str) -> datetime:
    return next_opening([parse_window(text) for text in texts], now)


@pytest.mark.parametrize(
    ("texts", "hours_later"),
    [
        (["09:00-17:00"], 0),
        (["22:00-06:00"], 10),
        (["12:00-13:00"], 0),
        (["11:00-12:00"], 23),
        (["00:00-24:00"], 0),
        (["Sat 12:00-13:00"], 0),
        (["Sun 00:00-01:00"], 12),
        (["Mon,Tue 08:00-09:00"], 44),
        (["Sat 11:00-12:00"], 7 * 24 - 1),
        # Began on Friday evening, goes on until Saturday afternoon.
        (["Fri 20:00-14:00"], 0),
        (["22:00-06:00", "Sat 15:00-16:00"], 3),
    ],
    ids=str,
)
def test_a_window_is_open_or_says_when_it_opens(texts: list[str], hours_later: int) -> None:
    assert opening(NOON, *texts) == NOON + timedelta(hours=hours_later)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22:00",
        "22:00-06",
        "24:00-06:00",
        "22:60-23:00",
        "10:00-10:00",
        "10:00-24:30",
        "Sam 10:00-11:00",
        "Sat 9:00-10:00",
    ],
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|minutes"):
        parse_window(text)


@given(st.datetimes(datetime(1970, 1, 3), datetime(2099, 1, 1)), st.integers(0, 1439), st.integers(1, 1440))  # noqa: DTZ001
def test_whenever_a_window_opens_it_is_open_then(now: datetime, begin: int, end: int) -> None:
    if begin == end:
        return
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    opens = opening(now, text)
    assert now <= opens <= now + timedelta(days=1)
    assert opening(opens, text) == opens
