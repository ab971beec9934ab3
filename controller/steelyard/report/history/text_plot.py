"""A series in a terminal: its nights as a plot of characters, with gaps and changes below, within 80 columns."""

from __future__ import annotations

import string
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.report.history.columns import Column, Layout, lay_out
from steelyard.report.history.story import SeriesChange, SeriesNight, SeriesStory, night_text
from steelyard.stats.formatting import ColumnScale, format_value

WIDTH = 80
_ROWS = 10
_LABEL = 9
_LETTERS = string.ascii_lowercase
_MOST_TOLD = 20
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The characters of a plot."""

    point: str
    span: str
    side: str
    corner: str
    floor: str
    gap: str
    bars: str


UNICODE = Glyphs(point="●", span="│", side="┤", corner="└", floor="─", gap="\N{MULTIPLICATION SIGN}", bars=_BARS)
ASCII = Glyphs(point="*", span="|", side="|", corner="+", floor="-", gap="x", bars="_.-~=^*#")


def plot(story: SeriesStory, *, width: int = WIDTH, glyphs: Glyphs = UNICODE) -> str:
    """Return the series with all that is to be said of it; a series without any night says so."""
    lines = [f"{story.title}, suite {story.suite}", _span(story)]
    lettered: dict[int, str] = {}
    if story.values:
        layout = lay_out(story.nights, width - _LABEL - 2)
        lettered = _letters(story, layout)
        lines += ["", *_rows(story, layout, glyphs), *_feet(story, layout, lettered, glyphs)]
    lines += ["", *_summary(story), *_texts(story, width), *_changes(story, lettered, width)]
    lines += _gaps(story, width, glyphs)
    return "\n".join(line.rstrip() for line in lines)


def overview(stories: Sequence[SeriesStory], *, width: int = WIDTH, glyphs: Glyphs = UNICODE) -> str:
    """Return a line for each of many series: the last value, and a bar for each of the last nights."""
    return "\n".join(line for story in stories for line in _overview_lines(story, width, glyphs))


def _overview_lines(story: SeriesStory, width: int, glyphs: Glyphs) -> Iterator[str]:
    yield textwrap.shorten(story.title, width, placeholder="…" if glyphs is UNICODE else "...")
    last = night_text(story.nights[-1], story.unit) if story.nights else "no night"
    room = width - 4 - 22
    shown = story.nights[-room:]
    known = [one.value for one in shown if one.value is not None]
    layout = lay_out(shown, room) if known else None
    bars = "" if layout is None else "".join(_bar(one, layout, glyphs) for one in shown)
    yield f"  {textwrap.shorten(last, 21, placeholder='...'):<22}{bars}".rstrip()


def _bar(night: SeriesNight, layout: Layout, glyphs: Glyphs) -> str:
    if night.value is None:
        return glyphs.gap
    return glyphs.bars[len(glyphs.bars) - 1 - layout.row(night.value, len(glyphs.bars))]


def _span(story: SeriesStory) -> str:
    if not story.nights:
        return "no night measured it"
    first, last = story.nights[0], story.nights[-1]
    days = f" ({first.day} to {last.day})" if first.day and last.day else ""
    return f"nights {first.number} to {last.number}{days}"


def _rows(story: SeriesStory, layout: Layout, glyphs: Glyphs) -> Iterator[str]:
    scale = ColumnScale.of([layout.low, layout.high], story.unit)
    for row in range(_ROWS):
        value = layout.high - (layout.high - layout.low) * row / (_ROWS - 1)
        label = _label(scale, value) if row % 3 == 0 else ""
        cells = "".join(_cell(column, row, layout, glyphs).ljust(layout.step) for column in layout.columns)
        yield f"{label:>{_LABEL}} {glyphs.side}{cells}"


def _label(scale: ColumnScale, value: float) -> str:
    text = f"{scale.number(value)} {scale.unit}".strip()
    return text if len(text) <= _LABEL else scale.number(value)[:_LABEL]


def _cell(column: Column, row: int, layout: Layout, glyphs: Glyphs) -> str:
    rows = sorted(layout.row(value, _ROWS) for value in column.values)
    if not rows:
        return " "
    if row in {rows[0], rows[-1], rows[len(rows) // 2]}:
        return glyphs.point
    return glyphs.span if rows[0] < row < rows[-1] else " "


def _feet(story: SeriesStory, layout: Layout, lettered: dict[int, str], glyphs: Glyphs) -> Iterator[str]:
    """Yield what stands below the plot: gaps on the floor, the letters of changes, the numbers of nights."""
    width = (len(layout.columns) - 1) * layout.step + 1
    floor = [glyphs.floor] * width
    for index, column in enumerate(layout.columns):
        if column.has_gap:
            floor[index * layout.step] = glyphs.gap
    yield f"{'':>{_LABEL}} {glyphs.corner}{''.join(floor)}"
    if lettered:
        marks = [" "] * width
        for place, letter in lettered.items():
            marks[place] = letter
        yield f"{'':>{_LABEL}}  {''.join(marks)}"
    first, last = str(story.nights[0].number), str(story.nights[-1].number)
    ends = first if width < len(first) + len(last) + 1 else f"{first}{last:>{width - len(first)}}"
    yield f"{'night':>{_LABEL}}  {ends}"


def _letters(story: SeriesStory, layout: Layout) -> dict[int, str]:
    """Return the letter at each place that has a change; changes of one place share it."""
    places = sorted({place for one in story.changes if (place := layout.place(one.night)) is not None})
    return dict(zip(places, _LETTERS + "+" * len(places), strict=False))


def _summary(story: SeriesStory) -> Iterator[str]:
    measured = [one for one in story.nights if not one.gap_reason]
    if not measured:
        return
    last = measured[-1]
    interval = ""
    if last.value is not None and last.low is not None and last.high is not None and last.low < last.high:
        interval = f" ({format_value(last.low, story.unit)} to {format_value(last.high, story.unit)})"
    yield f"last: {night_text(last, story.unit)}{interval}, night {last.number}"
    since = [one.value for one in measured if one.value is not None and one.number >= story.accepted_night]
    if len(since) > 1:
        middle = sorted(since)[len(since) // 2]
        words = f" since night {story.accepted_night}" if story.accepted_night > measured[0].number else ""
        yield f"middle of {len(since)} nights{words}: {format_value(middle, story.unit)}"


def _changes(story: SeriesStory, lettered: dict[int, str], width: int) -> Iterator[str]:
    shown = story.changes[-_MOST_TOLD:]
    if not shown:
        return
    yield ""
    yield "changes" if len(shown) == len(story.changes) else f"the last {len(shown)} of {len(story.changes)} changes"
    layout = lay_out(story.nights, width - _LABEL - 2) if story.values else None
    for change in shown:
        yield from _wrapped(f"{_letter(change, layout, lettered)}night {change.night}  {change.words}", width)


def _letter(change: SeriesChange, layout: Layout | None, lettered: dict[int, str]) -> str:
    place = layout.place(change.night) if layout is not None else None
    return f"{lettered.get(place, ' ')} " if place is not None else "  "


def _texts(story: SeriesStory, width: int) -> Iterator[str]:
    """Yield what the nights said whose values are no numbers, the value that came last first."""
    by_text: dict[str, list[int]] = {}
    for one in reversed(story.nights):
        if one.text:
            by_text.setdefault(one.text, []).insert(0, one.number)
    for text, numbers in list(by_text.items())[:_MOST_TOLD]:
        yield from _wrapped(f"  {runs_text(numbers)}: {text}", width)


def _gaps(story: SeriesStory, width: int, glyphs: Glyphs) -> Iterator[str]:
    if not story.gaps:
        return
    yield ""
    yield f"{glyphs.gap} {len(story.gaps)} night{'s' if len(story.gaps) > 1 else ''} without a value"
    by_reason: dict[str, list[int]] = {}
    for one in story.gaps:
        by_reason.setdefault(one.gap_reason, []).append(one.number)
    for reason, numbers in by_reason.items():
        yield from _wrapped(f"  {runs_text(numbers)}: {reason}", width)


def runs_text(numbers: Sequence[int]) -> str:
    """Return rising numbers for people: "3, 7 to 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _wrapped(text: str, width: int) -> list[str]:
    indent = "    " if text.startswith(" ") else "  "
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)
