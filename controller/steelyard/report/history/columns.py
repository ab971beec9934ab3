"""A series laid out in columns of characters: which nights share one, and what is seen there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.report.history.story import SeriesNight

# A steady series must not fill the height with its noise: the least span is this share of the level.
_LEAST_SPAN = 0.04
_MOST_COLUMNS_A_NIGHT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The nights from ``first`` to ``last`` (numbers): their values, and whether any of them is a gap."""

    first: int
    last: int
    values: tuple[float, ...]
    has_gap: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns from left to right, ``step`` characters apart, and the range of their values."""

    columns: tuple[Column, ...]
    step: int
    low: float
    high: float

    def place(self, night: int) -> int | None:
        """Return the character that a night is at, None where it is not shown."""
        for index, column in enumerate(self.columns):
            if column.first <= night <= column.last:
                return index * self.step
        return None

    def row(self, value: float, row_count: int) -> int:
        """Return the row of a value, 0 at the top."""
        share = (self.high - value) / (self.high - self.low)
        return min(row_count - 1, max(0, round(share * (row_count - 1))))


def lay_out(nights: Sequence[SeriesNight], width: int) -> Layout:
    """Return nights (at least one) in at most ``width`` characters; many nights share a column, few lie apart."""
    first, last = nights[0].number, nights[-1].number
    count = last - first + 1
    share = -(-count // width)
    column_count = -(-count // share)
    step = max(1, min(_MOST_COLUMNS_A_NIGHT, width // column_count))
    by_column: list[list[SeriesNight]] = [[] for _ in range(column_count)]
    for night in nights:
        by_column[(night.number - first) // share].append(night)
    columns = tuple(
        Column(
            first=first + index * share,
            last=min(last, first + (index + 1) * share - 1),
            values=tuple(one.value for one in those if one.value is not None),
            has_gap=any(one.gap_reason for one in those),
        )
        for index, those in enumerate(by_column)
    )
    low, high = _range([value for column in columns for value in column.values])
    return Layout(columns=columns, step=step, low=low, high=high)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = max(high - low, _LEAST_SPAN * max(abs(low), abs(high))) or 1.0
    middle = (low + high) / 2
    return middle - span / 2, middle + span / 2
