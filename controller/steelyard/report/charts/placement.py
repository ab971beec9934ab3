"""Put labels beside points so that they cover neither each other nor what is drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.report.charts.canvas import FONT_PX

_DISTANCES_PX = (0.0, 9.0, 21.0, 35.0, 53.0)
_DIRECTIONS = ((1, 0), (-1, 0), (1, -0.7), (-1, -0.7), (1, 0.7), (-1, 0.7), (0, -1.2), (0, 1.4))
# What a square pixel of each costs: labels over labels are unreadable, over a hairline just untidy.
_OVER_LABEL, _OVER_MARK = 10.0, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in px, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def moved_into(self, bounds: Box) -> Box:
        """Return the box moved within ``bounds``, which must be larger."""
        right = max(0.0, bounds.left - self.left) - max(0.0, self.right - bounds.right)
        down = max(0.0, bounds.top - self.top) - max(0.0, self.bottom - bounds.bottom)
        return Box(left=self.left + right, top=self.top + down, right=self.right + right, bottom=self.bottom + down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a label goes. ``leader`` is the end of a line from the point to a label that is far from it."""

    box: Box
    leader: tuple[float, float] | None

    @property
    def baseline(self) -> tuple[float, float]:
        """Where the text starts."""
        return self.box.left, self.box.bottom - 3.5


def place_labels(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    clearances: Sequence[float],
    marks: Sequence[Box],
    bounds: Box,
) -> list[Placement]:
    """Return a place for each label, greedily: the largest clearance first, then the most crowded point.

    Args:
        points: the labelled points.
        widths: of the labels, in px.
        clearances: how far from its point each label begins at least, in px.
        marks: markers and error bars, which labels had better not cover.
        bounds: where labels may be.
    """
    order = sorted(range(len(points)), key=lambda index: (-clearances[index], -_crowding(points[index], points)))
    placed: dict[int, Placement] = {}
    for index in order:
        taken = [one.box for one in placed.values()]
        options = [
            _candidate(points[index], widths[index], clearances[index] + distance, direction, bounds, far=distance > 0)
            for distance, direction in itertools.product(_DISTANCES_PX, _DIRECTIONS)
        ]
        costs = [_cost(option, step, taken, marks) for step, option in enumerate(options)]
        placed[index] = options[costs.index(min(costs))]
    return [placed[index] for index in range(len(points))]


def _crowding(point: tuple[float, float], points: Sequence[tuple[float, float]]) -> int:
    return sum(abs(point[0] - x) < 90 and abs(point[1] - y) < 30 for x, y in points)


def _candidate(
    point: tuple[float, float],
    width: float,
    distance: float,
    direction: tuple[float, float],
    bounds: Box,
    *,
    far: bool,
) -> Placement:
    dx, dy = direction
    x, y = point[0] + dx * distance, point[1] + dy * distance
    left = x if dx > 0 else x - width if dx < 0 else x - width / 2
    box = Box(left=left, top=y - FONT_PX / 2 - 1, right=left + width, bottom=y + FONT_PX / 2 + 2).moved_into(bounds)
    middle = (box.top + box.bottom - 1) / 2
    return Placement(box=box, leader=(min(max(point[0], box.left), box.right), middle) if far else None)


def _cost(option: Placement, step: int, labels: Sequence[Box], marks: Sequence[Box]) -> float:
    over_labels = sum(option.box.overlap(label) for label in labels)
    over_marks = sum(option.box.overlap(mark) for mark in marks)
    # The step breaks ties: near before far, beside before above.
    return _OVER_LABEL * over_labels + _OVER_MARK * over_marks + 2.0 * step
