"""Trades keep more of a model in the same time, by what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from steelyard.train.prune.latency_search import Found, Neighbour, SearchRules, Tried
from steelyard.train.prune.latency_target import MeasuredShare
from steelyard.train.prune.latency_trade import trade

RULES = SearchRules(tolerance=0.05, most=8, least=0.1, whole=1.0, start=0.5)
# A device that computes the second layer in blocks of two units: every other unit costs it nothing.
COSTS = (0.05, 0.08, 0.05)
WHOLE = (4, 4, 4)


class Device:
    """Three layers of four units; what was measured is kept."""

    def __init__(self, *, together: float = 0.0) -> None:
        self.together = together
        self.measured: list[tuple[int, ...]] = []

    def time(self, removed: Sequence[int]) -> float:
        first, second, third = (whole - one for whole, one in zip(WHOLE, removed, strict=True))
        blocks = 2 * ((second + 1) // 2)
        extra = self.together if removed[1] < 3 and removed[2] < 2 else 0.0
        return 0.2 + 0.2 * first + 0.1 * blocks + 0.05 * third + extra

    def measure(self, one: Neighbour) -> Tried:
        self.measured.append(one.removed)
        return tried(one.removed, self.time(one.removed))


def neighbour(removed: tuple[int, ...]) -> Neighbour:
    left = sum(cost * (whole - one) for cost, whole, one in zip(COSTS, WHOLE, removed, strict=True))
    return Neighbour(left=left, lost=float(sum(removed)), removed=removed)


def tried(removed: tuple[int, ...], time: float) -> Tried:
    share = MeasuredShare(value=time, low=time, high=time)
    return Tried(left=neighbour(removed).left, share=share, removed=removed)


def beside(best: Tried, is_wider: bool) -> list[Neighbour]:
    step = -1 if is_wider else 1
    found = [(*best.removed[:at], units + step, *best.removed[at + 1 :]) for at, units in enumerate(best.removed)]
    return [neighbour(one) for one in found if all(0 <= units <= 3 for units in one)]


def begun(device: Device, removed: tuple[int, ...] = (2, 3, 0)) -> Found:
    first = tried(removed, device.time(removed))
    return Found(best=first, tried=(first,), is_hit=True, is_beyond=False)


def test_what_costs_no_time_is_kept() -> None:
    device = Device()
    found = trade(begun(device), beside, neighbour, device.measure, RULES, most=20)
    assert found.best.left > neighbour((2, 3, 0)).left
    assert found.best.share.value <= 1
    assert found.best.removed[1] < 3


def test_a_trade_that_proves_too_slow_is_no_result() -> None:
    device, rules = Device(together=0.5), dataclasses.replace(RULES, tolerance=0.11)
    found = trade(begun(device, (2, 3, 2)), beside, neighbour, device.measure, rules, most=20)
    assert found.best.removed == (2, 2, 2), "the free one alone"
    assert len(set(device.measured)) == len(device.measured)
    assert any(one.share.value > 1.4 for one in found.tried), "a trade of two layers was measured"


@pytest.mark.parametrize("most", [0, 4])
def test_without_candidates_to_spend_nothing_is_measured(most: int) -> None:
    device = Device()
    before = begun(device)
    assert trade(before, beside, neighbour, device.measure, RULES, most=most) == before
    assert device.measured == []


def test_no_more_candidates_are_measured_than_there_are() -> None:
    device = Device()
    found = trade(begun(device), beside, neighbour, device.measure, RULES, most=7)
    assert len(device.measured) <= 7
    assert len(found.tried) == 1 + len(device.measured)


def test_what_missed_its_target_is_not_traded() -> None:
    device = Device()
    first = tried((0, 0, 0), device.time((0, 0, 0)))
    before = Found(best=first, tried=(first,), is_hit=False, is_beyond=False)
    assert trade(before, beside, neighbour, device.measure, RULES, most=20) == before
