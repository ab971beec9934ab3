"""Series over their nights as one SVG that stands alone: light and dark, without a page around it."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.report.charts.axes import y_axis
from steelyard.report.charts.canvas import Canvas
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.history.story import ChangeKind, SeriesNight, SeriesStory, night_text

WIDTH = 860.0
MOST_SERIES = 12
_PLOT_PX, _HEAD_PX, _FOOT_PX, _LINE_PX, _GAP_PX = 190.0, 44.0, 40.0, 17.0, 26.0
_LEFT, _RIGHT = 76.0, 16.0
_MOST_TOLD = 8
_WORDS_CHARACTERS = 118
_LABEL_PX = 46.0
_STYLE = """
svg{--text:#1f2328;--muted:#59636e;--grid:#e4e7eb;--line:#2563a8;--warm:#b4421f;--page:#fff;
font-family:system-ui,sans-serif;background:var(--page)}
@media (prefers-color-scheme:dark){svg{--text:#e6e8eb;--muted:#9aa4af;--grid:#30363d;--line:#79b8ff;--warm:#ff9b7a;
--page:#14171a}}
.page{fill:var(--page)}.title{font-size:15px;font-weight:600;fill:var(--text)}.note{font-size:12px;fill:var(--muted)}
.tick{font-size:11px;fill:var(--muted)}.grid{stroke:var(--grid)}.thread{fill:none;stroke:var(--line);
stroke-width:1.3;opacity:.65}.dot{fill:var(--line)}.whisker{stroke:var(--line);opacity:.35;stroke-width:2}
.gap{stroke:var(--muted);stroke-width:1.2}.change{stroke:var(--muted);stroke-dasharray:2 3}
.level{stroke:var(--warm);stroke-width:1.4}.letter{font-size:11px;font-weight:600;fill:var(--muted)}
"""


def draw(stories: Sequence[SeriesStory], *, width: float = WIDTH) -> str:
    """Return the SVG of one or more series, one below the other.

    Raises:
        ValueError: More than ``MOST_SERIES``, or none.
    """
    if not 1 <= len(stories) <= MOST_SERIES:
        raise ValueError(f"{len(stories)} series make no picture; choose 1 to {MOST_SERIES}")
    heights = [_height(story) for story in stories]
    titles = "; ".join(story.title for story in stories)
    canvas = Canvas(name="history", width=width, height=sum(heights), title="Series over nights", description=titles)
    canvas.rect(0, 0, width, sum(heights), "page")
    top = 0.0
    for story, height in zip(stories, heights, strict=True):
        _draw_series(canvas, story, top)
        top += height
    start, _, rest = str(canvas.markup()).partition(">")
    return f'{start} xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>{rest}\n'


def _height(story: SeriesStory) -> float:
    plot = _PLOT_PX + _FOOT_PX if story.values else 0.0
    return _HEAD_PX + plot + _LINE_PX * len(_lines(story)) + _GAP_PX


def _draw_series(canvas: Canvas, story: SeriesStory, top: float) -> None:
    canvas.text((10, top + 24), story.title, "title")
    canvas.text((10, top + 40), _span(story), "note")
    bottom = top + _HEAD_PX
    if story.values:
        bottom += _PLOT_PX
        _draw_plot(canvas, story, top + _HEAD_PX + 12, bottom)
        bottom += _FOOT_PX
    for index, line in enumerate(_lines(story)):
        canvas.text((10, bottom + _LINE_PX * (index + 0.6)), line, "note")


def _draw_plot(canvas: Canvas, story: SeriesStory, top: float, bottom: float) -> None:
    first, last = story.nights[0].number, story.nights[-1].number
    # Half a night of room at both ends, so that one night alone has a place as well.
    x = Scale(low=first - 0.5, high=last + 0.5, start=_LEFT, end=canvas.width - _RIGHT)
    ends = [end for one in story.nights for end in (one.low, one.high) if end is not None]
    y = fitted([*story.values, *ends], start=bottom, end=top)
    y_axis(canvas, y, story.unit, left=_LEFT, right=canvas.width - _RIGHT)
    _draw_nights(canvas, story.nights, x, bottom)
    _draw_changes(canvas, story, x, top, bottom)
    for run in _runs(story.nights):
        if len(run) > 1:
            canvas.path([(x(one.number), y(one.value or 0.0)) for one in run], "thread")
    for night in story.nights:
        at = x(night.number)
        if night.value is None:
            if night.gap_reason:
                _cross(canvas, at, bottom)
            continue
        if night.low is not None and night.high is not None and night.low < night.high:
            canvas.line((at, y(night.low)), (at, y(night.high)), "whisker")
        with canvas.group(
            tip=f"night {night.number}{' ' + night.day if night.day else ''}: {night_text(night, story.unit)}"
        ):
            canvas.circle((at, y(night.value)), 2.4, "dot")


def _draw_nights(canvas: Canvas, nights: Sequence[SeriesNight], x: Scale, bottom: float) -> None:
    free_from = -1.0
    for night in nights:
        at = x(night.number)
        # The last one has its place first; those too near to it are left out.
        if at < free_from or (night is not nights[-1] and at > x(nights[-1].number) - _LABEL_PX):
            continue
        canvas.text((at, bottom + 16), str(night.number), "tick", anchor="middle")
        if night is nights[0] or night is nights[-1]:
            canvas.text((at, bottom + 30), night.day, "tick", anchor="start" if night is nights[0] else "end")
        free_from = at + _LABEL_PX


def _draw_changes(canvas: Canvas, story: SeriesStory, x: Scale, top: float, bottom: float) -> None:
    letters = _letters(story)
    for change in story.changes:
        at = x(change.night - 0.5)
        canvas.line((at, top), (at, bottom), "level" if change.kind is ChangeKind.LEVEL else "change")
    for night, letter in letters.items():
        canvas.text((x(night - 0.5), top - 3), letter, "letter", anchor="middle")


def _cross(canvas: Canvas, at: float, bottom: float) -> None:
    for slope in (-3, 3):
        canvas.line((at - 3, bottom - 5 - slope), (at + 3, bottom - 5 + slope), "gap")


def _runs(nights: Sequence[SeriesNight]) -> list[list[SeriesNight]]:
    """Return the nights with values, parted at gaps."""
    runs: list[list[SeriesNight]] = [[]]
    for night in nights:
        if night.value is None:
            runs.append([])
        else:
            runs[-1].append(night)
    return runs


def _letters(story: SeriesStory) -> dict[int, str]:
    told = sorted({one.night for one in story.changes})[-_MOST_TOLD:]
    return {night: chr(ord("a") + index) for index, night in enumerate(told)}


def _lines(story: SeriesStory) -> list[str]:
    letters = _letters(story)
    lines = [
        f"{letters[one.night]}  night {one.night}: {one.words}"[:_WORDS_CHARACTERS]
        for one in story.changes
        if one.night in letters
    ]
    if story.gaps:
        lines.append(f"\N{MULTIPLICATION SIGN}  {len(story.gaps)} of {len(story.nights)} nights without a value")
    return lines


def _span(story: SeriesStory) -> str:
    if not story.nights:
        return f"suite {story.suite}; no night measured it"
    last = next((one for one in reversed(story.nights) if not one.gap_reason), None)
    said = f"; last {night_text(last, story.unit)}" if last is not None else ""
    return f"suite {story.suite}, nights {story.nights[0].number} to {story.nights[-1].number}{said}"
