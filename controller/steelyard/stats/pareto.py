"""The Pareto front that knows noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.stats.estimate import Estimate, exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A candidate in the plane of latency (less is better), accuracy (more is better) and, when given, size (less)."""

    label: str
    latency: Estimate
    accuracy: Estimate | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """One figure of two points, turned so that less is better; None where it is not known."""

    mine: tuple[float, float, float] | None
    other: tuple[float, float, float] | None


def pareto_front(points: Sequence[Point]) -> tuple[str, ...]:
    """Return the labels on the front, in the order given.

    A point is dominated by another that is better on at least one axis beyond both intervals and, by its value, worse
    on none. Two points whose intervals overlap everywhere both stay: noise alone removes nothing. An axis that only one
    of two points has keeps either from dominating the other; a point without a latency is not on the front.
    """
    known = [point for point in points if point.latency.value is not None]
    return tuple(
        point.label for point in known if not any(_dominates(other, point) for other in known if other is not point)
    )


def _dominates(mine: Point, other: Point) -> bool:
    surely_better = False
    for axis in _axes(mine, other):
        if axis.mine is None and axis.other is None:
            continue
        if axis.mine is None or axis.other is None or axis.mine[1] > axis.other[1]:
            return False
        surely_better = surely_better or axis.mine[2] < axis.other[0]
    return surely_better


def _axes(mine: Point, other: Point) -> Iterator[_Axis]:
    yield _Axis(mine=_less_is_better(mine.latency), other=_less_is_better(other.latency))
    yield _Axis(mine=_more_is_better(mine.accuracy), other=_more_is_better(other.accuracy))
    yield _Axis(mine=_less_is_better(_size(mine)), other=_less_is_better(_size(other)))


def _size(point: Point) -> Estimate | None:
    return None if point.size_bytes is None else exact(float(point.size_bytes), "B")


def _less_is_better(estimate: Estimate | None) -> tuple[float, float, float] | None:
    if estimate is None or estimate.value is None:
        return None
    if estimate.low is None or estimate.high is None:
        # Without an interval anything is possible: such a figure is never surely better or worse.
        return float("-inf"), estimate.value, float("inf")
    return estimate.low, estimate.value, estimate.high


def _more_is_better(estimate: Estimate | None) -> tuple[float, float, float] | None:
    turned = _less_is_better(estimate)
    return None if turned is None else (-turned[2], -turned[1], -turned[0])
