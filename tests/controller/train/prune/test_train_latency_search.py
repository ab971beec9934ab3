"""The search for an amount: on target in a few candidates, honest where the target is out of reach or time is odd."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.train.prune.latency_search import Found, Neighbour, SearchRules, Tried, refine, search_amount
from steelyard.train.prune.latency_target import LatencyTarget, MeasuredShare
from steelyard_protocol.v1 import control_pb2, measurement_pb2


def in_steps(count: int) -> Callable[[float], float]:
    """Return what is left of an amount where widths allow ``count`` sizes alone."""
    return lambda amount: math.floor(amount * count + 1e-9) / count


def search(
    time_of: Callable[[float], float],
    *,
    target: float = 0.5,
    left_at: Callable[[float], float] = lambda amount: amount,
    noise: float = 0.0,
    least: float = 0.05,
    most: int = 8,
    start: float | None = None,
) -> Found:
    """Search on a device whose time follows ``time_of`` (1 at 1), with an interval of 2 percent around it."""
    rng = np.random.default_rng(0)

    def measure(amount: float) -> Tried:
        left = left_at(amount)
        value = time_of(left) * (1 + noise * rng.standard_normal()) / target
        return Tried(left=left, share=MeasuredShare(value=value, low=0.98 * value, high=1.02 * value), whole=1 / target)

    rules = SearchRules(tolerance=0.05, most=most, least=least, whole=1.0, start=target if start is None else start)
    return search_amount(left_at, measure, rules)


@pytest.mark.parametrize(
    ("fixed", "target"), [(0.0, 0.3), (0.0, 0.5), (0.0, 0.7), (0.2, 0.3), (0.2, 0.5), (0.45, 0.6), (0.45, 0.9)]
)
def test_a_target_is_hit_in_a_few_candidates_whatever_part_of_the_time_is_fixed(fixed: float, target: float) -> None:
    found = search(lambda left: fixed + (1 - fixed) * left, target=target)
    assert found.is_hit
    assert abs(found.best.share.value - 1) <= 0.05
    assert len(found.tried) <= 4


def test_a_device_that_steps_in_blocks_of_channels_and_shakes_is_searched_to_the_target() -> None:
    found = search(lambda left: math.ceil(left * 16) / 16 * 0.9 + 0.1, noise=0.01, left_at=in_steps(40))
    assert found.is_hit
    assert len(found.tried) <= 6


def test_a_target_out_of_reach_is_told_after_the_least_was_measured() -> None:
    found = search(lambda left: 0.6 + 0.4 * left)
    assert (found.is_hit, found.is_beyond) == (False, True)
    assert found.best.left == pytest.approx(0.05)
    assert len(found.tried) <= 4


def test_where_widths_are_coarse_the_nearest_candidate_is_kept_and_none_is_measured_twice() -> None:
    found = search(lambda left: left, left_at=in_steps(3), target=0.5, least=1 / 3)
    assert (found.is_hit, found.is_beyond) == (False, False)
    assert found.best.left in (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert len({one.left for one in found.tried}) == len(found.tried)


def test_a_search_that_may_measure_no_more_returns_the_best_that_it_found() -> None:
    found = search(lambda left: left**3, most=2)
    assert not found.is_beyond
    assert len(found.tried) == 2
    assert found.best.share.value == min((one.share.value for one in found.tried), key=lambda value: abs(value - 1))


def test_less_that_is_slower_is_told_and_steady_times_are_not_talked_about() -> None:
    odd = {0.5: 0.8, 0.25: 0.9}
    found = search(lambda left: odd.get(round(left, 2), 0.4), target=0.5, left_at=in_steps(4), least=0.25)
    (note,) = found.notes
    assert "less was not faster everywhere: with 25.0% left the model took 1.12 times as long as with 50.0%" in note
    assert search(lambda left: left).notes == ()


def neighbours_of(best: Tried) -> list[Neighbour]:
    """Return what two groups of four units give, one unit of 0.1 of the cost and one of 0.03 of it."""
    back = best.share.value < 1
    first, second = best.removed
    found = [(first - 1, second), (first, second - 1)] if back else [(first + 1, second), (first, second + 1)]
    return [
        Neighbour(left=1 - 0.1 * one - 0.03 * other, lost=one + 2.0 * other, removed=(one, other))
        for one, other in found
        if 0 <= one <= 4 and 0 <= other <= 4
    ]


def tried(removed: tuple[int, int], *, target: float) -> Tried:
    left = 1 - 0.1 * removed[0] - 0.03 * removed[1]
    value = left / target
    return Tried(left=left, share=MeasuredShare(value=value, low=0.98 * value, high=1.02 * value), removed=removed)


@pytest.mark.parametrize("begin", [(4, 0), (3, 0)])
def test_a_target_that_no_amount_gives_is_hit_by_steps_of_single_groups(begin: tuple[int, int]) -> None:
    rules = SearchRules(tolerance=0.02, most=8, least=0.48, whole=1.0, start=0.65)
    first = tried(begin, target=0.65)
    before = Found(best=first, tried=(first,), is_hit=False, is_beyond=False)
    found = refine(before, neighbours_of, lambda one: tried(one.removed, target=0.65), rules)
    assert found.is_hit
    assert found.best.left == pytest.approx(0.65, abs=0.013)
    assert len({one.removed for one in found.tried}) == len(found.tried) <= 5


def test_of_neighbours_that_should_come_near_enough_the_one_that_loses_least_is_measured() -> None:
    rules = SearchRules(tolerance=0.1, most=2, least=0.1, whole=1.0, start=0.5)
    first = Tried(left=0.6, share=MeasuredShare(value=1.2, low=None, high=None), removed=(0,))
    lost = {1: 3.0, 2: 1.0, 3: 2.0}
    beside = [Neighbour(left=0.5 if one != 2 else 0.3, lost=lost[one], removed=(one,)) for one in lost]
    measured = []

    def measure(one: Neighbour) -> Tried:
        measured.append(one.removed)
        return dataclasses.replace(first, removed=one.removed)

    refine(Found(best=first, tried=(first,), is_hit=False, is_beyond=False), lambda best: beside, measure, rules)
    assert measured == [(3,)]


def test_where_no_neighbour_is_left_the_nearest_candidate_stays() -> None:
    rules = SearchRules(tolerance=0.01, most=8, least=0.1, whole=1.0, start=0.5)
    first = tried((0, 0), target=0.5)
    before = Found(best=first, tried=(first,), is_hit=False, is_beyond=False)
    assert refine(before, lambda best: [], lambda one: first, rules) == before


def test_a_search_that_begins_where_it_ended_before_measures_one_candidate() -> None:
    assert len(search(lambda left: 0.2 + 0.8 * left, start=0.375).tried) == 1


def estimate(value: float, unit: str) -> measurement_pb2.Estimate:
    return measurement_pb2.Estimate(value=value, low=0.9 * value, high=1.1 * value, unit=unit, confidence=0.95)


def measured(**fields: measurement_pb2.Estimate) -> control_pb2.StepLatency:
    return control_pb2.StepLatency(device="pi5", **fields)


def test_shares_and_times_are_read_and_written_with_their_intervals() -> None:
    by_share = LatencyTarget.parse("0.5x")
    share = by_share.share_of(measured(speedup=estimate(2.0, "ratio")))
    assert share.value == pytest.approx(1)
    assert (share.low, share.high) == (pytest.approx(1 / 1.1), pytest.approx(1 / 0.9))
    assert by_share.written(share) == "0.500x (0.455x to 0.556x)"
    by_time = LatencyTarget.parse("2ms")
    answer = measured(p50=estimate(1e6, "ns"), parent_p50=estimate(4e6, "ns"))
    assert by_time.written(by_time.share_of(answer)) == "1.00 ms (900 us to 1.10 ms)"
    assert by_time.share_of_parent(answer) == pytest.approx(2)
    assert LatencyTarget.parse("500us").time_ns == 500_000


def test_a_device_that_gives_no_figure_is_named_with_its_reason() -> None:
    with pytest.raises(CompressionInputError, match=r"the latency on pi5 is not known \(it is emulated\)") as caught:
        LatencyTarget.parse("0.5x").share_of(measured(speedup=measurement_pb2.Estimate(reason="it is emulated")))
    assert caught.value.reason == "latency_unknown"


@pytest.mark.parametrize("text", ["0.5", "2 ms", "1.5x", "0x", "0ms", "fast", "-1ms"])
def test_what_is_no_latency_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(RecipeError, match="prune: latency is '"):
        LatencyTarget.parse(text)
