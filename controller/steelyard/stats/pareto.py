"""The Pareto front that knows noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.stats.estimate import Estimate, exact

_Range = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A candidate by latency (less is better), accuracy (more is better), size, memory and energy (less).

    What is None is not an axis of this point.
    """

    label: str
    latency: Estimate
    accuracy: Estimate | None = None
    size_bytes: int | None = None
    memory: Estimate | None = None
    energy: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """One figure of two points, turned so that less is better; None where it is not known.

    ``is_side``: a figure that nobody would give up another one for because of a difference within its noise.
    """

    mine: _Range | None
    other: _Range | None
    is_side: bool = False

    @property
    def blocks(self) -> bool:
        """Whether the first point cannot dominate the second one because of this axis."""
        if self.mine is None or self.other is None:
            return self.mine is not self.other
        return self.mine[0] > self.other[2] if self.is_side else self.mine[1] > self.other[1]

    @property
    def is_surely_better(self) -> bool:
        """Whether the first point is better beyond both intervals."""
        return self.mine is not None and self.other is not None and self.mine[2] < self.other[0]


def pareto_front(points: Sequence[Point]) -> tuple[str, ...]:
    """Return the labels on the front, in the order given.

    A point is dominated by another that is better on at least one axis beyond both intervals and worse on none: by its
    value in latency, accuracy and size; beyond both intervals in memory and energy, which noise would otherwise put on
    either side of two equals. Two points whose intervals overlap everywhere both stay: noise alone removes nothing. An
    axis that only one of two points has keeps either from dominating the other; a point without a latency is not on the
    front.
    """
    known = [point for point in points if point.latency.value is not None]
    return tuple(
        point.label for point in known if not any(_dominates(other, point) for other in known if other is not point)
    )


def _dominates(mine: Point, other: Point) -> bool:
    axes = list(_axes(mine, other))
    return not any(axis.blocks for axis in axes) and any(axis.is_surely_better for axis in axes)


def _axes(mine: Point, other: Point) -> Iterator[_Axis]:
    yield _Axis(mine=_less_is_better(mine.latency), other=_less_is_better(other.latency))
    yield _Axis(mine=_more_is_better(mine.accuracy), other=_more_is_better(other.accuracy))
    yield _Axis(mine=_less_is_better(_size(mine)), other=_less_is_better(_size(other)))
    yield _Axis(mine=_less_is_better(mine.memory), other=_less_is_better(other.memory), is_side=True)
    yield _Axis(mine=_less_is_better(mine.energy), other=_less_is_better(other.energy), is_side=True)


def _size(point: Point) -> Estimate | None:
    return None if point.size_bytes is None else exact(float(point.size_bytes), "B")


def _less_is_better(estimate: Estimate | None) -> _Range | None:
    if estimate is None or estimate.value is None:
        return None
    if estimate.low is None or estimate.high is None:
        # Without an interval anything is possible: such a figure is never surely better or worse.
        return float("-inf"), estimate.value, float("inf")
    return estimate.low, estimate.value, estimate.high


def _more_is_better(estimate: Estimate | None) -> _Range | None:
    turned = _less_is_better(estimate)
    return None if turned is None else (-turned[2], -turned[1], -turned[0])
