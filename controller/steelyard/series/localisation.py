"""Since when is a series what it is? Changes of its level over the last nights, by splitting it again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from steelyard.series.e_divisive import best_splits
from steelyard.series.history import History, normalised_logs
from steelyard.series.judgements import Candidate, Side
from steelyard.series.metric_rules import MetricKind, MetricRule

WINDOW = 50
LEAST_NIGHTS = 3
# Of the t-test between the two sides of the best of all splits: a series without a change has a smaller one in 1 %.
# Calibrated: docs/decisions/0027-series-over-nights.md.
MOST_P = 3e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A change of level: ``index`` of the first value of the new one, its size on the log scale, its p-value.

    ``p_value`` is of Student's t between the levels on both sides, as if the place had not been searched for.
    """

    index: int
    size: float
    p_value: float


def change_points(
    logs: NDArray[np.float64], *, least_size: float = 0.0, most_p: float = MOST_P
) -> tuple[ChangePoint, ...]:
    """Return the changes of level in a series, oldest first.

    The best split is kept where it is significant and large enough, and each side is split again (Matteson and James
    2014); then the weakest of those that their final neighbours no longer bear out are dropped one by one (Fleming,
    Kołaczkowski and others, Hunter, ICPE 2023).

    Args:
        logs: On the log scale, oldest first [N], finite.
        least_size: Least change of the mean that counts, on the log scale.
        most_p: Greatest p-value that counts.
    """
    found = sorted(_split(logs, 0, logs.size, least_size, most_p))
    while found:
        tested = _tested(logs, found)
        weak = [one for one in tested if one.p_value > most_p or abs(one.size) < least_size]
        if not weak:
            return tuple(tested)
        found.remove(max(weak, key=lambda one: one.p_value).index)
    return ()


def first_bad_night(history: History, rule: MetricRule, candidate: Candidate) -> int:
    """Return the first night of the level that the candidate's night belongs to.

    By the last change that goes the candidate's way among up to 50 nights since the last accepted one. Sides of a split
    have three nights at least, so that one of the last nights, or of no significance yet, is placed among them by least
    squares. Of exact metrics and accuracies it is the first of the nights that have tonight's value.
    """
    recent = history.recent()
    if rule.kind is not MetricKind.CONTINUOUS:
        return _since(recent)
    logs = normalised_logs(recent, rule)
    known = np.flatnonzero(np.isfinite(logs))[-WINDOW:]
    sign = rule.worse_sign if candidate.side is Side.WORSE else -rule.worse_sign
    points = change_points(logs[known], least_size=math.log1p(rule.thresholds.minimum_effect))
    index = points[-1].index if points and points[-1].size * sign > 0.0 else known.size
    if known.size - index < 2 * LEAST_NIGHTS:
        index = _young(logs[known], min(index, known.size - LEAST_NIGHTS))
    return int(recent.nights[known[index]])


def _young(logs: NDArray[np.float64], first: int) -> int:
    """Return where from ``first`` on the level changed, by least squares: the new one may be of one night only."""
    places = range(max(1, first), logs.size)
    return min(places, key=lambda place: sum(part.size * float(np.var(part)) for part in np.split(logs, [place])))


def _since(recent: History) -> int:
    """Return the first of the last nights that all have the same value."""
    values = recent.texts or tuple(recent.values.tolist())
    index = len(values) - 1
    while index > 0 and values[index - 1] == values[-1]:
        index -= 1
    return int(recent.nights[index])


def _split(logs: NDArray[np.float64], begin: int, end: int, least_size: float, most_p: float) -> list[int]:
    if end - begin < 2 * LEAST_NIGHTS:
        return []
    best = best_splits(logs[None, begin:end], LEAST_NIGHTS)
    index = begin + int(best.indices[0])
    # Against the nights up to which it differs most: a level that went back later is one, too.
    point = _test(logs, begin, index, begin + int(best.ends[0]))
    if point.p_value > most_p or abs(point.size) < least_size:
        return []
    sides = _split(logs, begin, index, least_size, most_p), _split(logs, index, end, least_size, most_p)
    return [*sides[0], index, *sides[1]]


def _tested(logs: NDArray[np.float64], indices: list[int]) -> list[ChangePoint]:
    """Return each change tested between the levels on both of its sides."""
    edges = [0, *indices, logs.size]
    return [_test(logs, *edges[place : place + 3]) for place in range(len(indices))]


def _test(logs: NDArray[np.float64], begin: int, index: int, end: int) -> ChangePoint:
    before, after = logs[begin:index], logs[index:end]
    size = float(np.mean(after) - np.mean(before))
    return ChangePoint(index=index, size=size, p_value=float(split_p_values(logs[None, begin:end], index - begin)[0]))


def split_p_values(series: NDArray[np.float64], index: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the two-sided p of Student's t between the nights before ``index`` and the others, for each series [S, N].

    Raises:
        ValueError: a side has no night, or both have one.
    """
    count = series.shape[1]
    n = np.broadcast_to(np.asarray(index, dtype=np.float64), (len(series),))
    if np.any((n < 1) | (n > count - 1)) or count < 3:
        raise ValueError(f"{count} nights have no two sides at {index}")
    is_before = np.arange(count)[None, :] < n[:, None]
    means = [np.sum(series * side, axis=1) / np.sum(side, axis=1) for side in (is_before, ~is_before)]
    rest = series - np.where(is_before, means[0][:, None], means[1][:, None])
    variance = np.sum(rest**2, axis=1) / (count - 2)
    error = np.sqrt(variance * (1.0 / n + 1.0 / (count - n)))
    change = np.abs(means[1] - means[0])
    # Equal values on each side: they differ or they do not.
    t = np.divide(change, error, out=np.where(change > 0.0, np.inf, 0.0), where=error > 0.0)
    p_values: NDArray[np.float64] = 2.0 * stdtr(count - 2.0, -t)
    return p_values
