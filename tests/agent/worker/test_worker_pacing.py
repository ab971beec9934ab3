"""Arrivals and their service on a clock that we own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, pairwise, repeat
from statistics import fmean

import pytest

from steelyard_agent.worker.paced import paced_notes
from steelyard_agent.worker.pacing import (
    PacedRun,
    Waiter,
    even_offsets,
    make_waiter,
    pace,
    random_offsets,
    window_of,
)
from steelyard_agent.worker.rough import rough_ms

US, MS, S = 1_000, 1_000_000, 1_000_000_000
TICK_NS = 100


class FakeTime:
    """A clock that moves by a tick with each reading, by what is slept, and by what ``work`` takes."""

    def __init__(self, service_ns: Iterator[int] | None = None, overshoot_ns: int = 0) -> None:
        self.now_ns = 5 * S
        self.reading_count = 0
        self.slept_ns: list[int] = []
        self._service_ns = service_ns or repeat(0)
        self._overshoot_ns = overshoot_ns

    def clock(self) -> int:
        self.now_ns += TICK_NS
        self.reading_count += 1
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept_ns.append(round(seconds * 1e9))
        self.now_ns += round(seconds * 1e9) + self._overshoot_ns

    def work(self) -> None:
        self.now_ns += next(self._service_ns)


def _pace(time: FakeTime, *, rate_hz: float = 100.0, count: int = 20, spin_ns: int = 50 * US) -> PacedRun:
    offsets = even_offsets(rate_hz, window_ns=round(count * S / rate_hz), least_count=1)
    waiter = Waiter(clock=time.clock, sleep=time.sleep, spin_ns=spin_ns)
    return pace(time.work, offsets, window_ns=round(count * S / rate_hz), waiter=waiter)


def test_a_stall_shows_in_the_response_of_every_arrival_that_had_to_wait_and_once_in_the_service() -> None:
    # 100 arrivals a second, 1 ms each; the sixth takes 75 ms.
    run = _pace(FakeTime(chain(repeat(1 * MS, 5), [75 * MS], repeat(1 * MS))))
    slow_service = [index for index, service in enumerate(run.service_ns) if service > 10 * MS]
    slow_response = [index for index, response in enumerate(run.response_ns) if response > 10 * MS]
    assert slow_service == [5]
    # It was due at 55 ms and ended at 130 ms: those of 65, 75 … 125 ms waited, each 9 ms less than the one before.
    assert slow_response == [5, 6, 7, 8, 9, 10, 11, 12]
    waited_ms = [round(run.response_ns[index] / MS) for index in slow_response]
    assert waited_ms == [75, 66, 57, 48, 39, 30, 21, 12]
    assert run.missed_count == 0
    assert [index for index, queued in enumerate(run.queued) if queued] == list(range(6, 14))


def test_without_a_queue_response_is_service_and_the_precision_of_the_start() -> None:
    run = _pace(FakeTime(repeat(2 * MS)))
    assert len(run.service_ns) == 20
    assert not any(run.queued)
    assert all(0 <= late < 5 * TICK_NS for late in run.late_ns)
    assert all(
        response == service + late
        for response, service, late in zip(run.response_ns, run.service_ns, run.late_ns, strict=True)
    )


def test_arrivals_keep_their_times_whatever_the_last_one_took() -> None:
    time = FakeTime(chain(repeat(3 * MS, 7), repeat(9 * MS)))
    run = _pace(time)
    begun = [late for late, queued in zip(run.late_ns, run.queued, strict=True) if not queued]
    assert max(begun) < 5 * TICK_NS


def test_a_rate_above_what_can_be_served_leaves_arrivals_that_never_began() -> None:
    # 100 a second for 0.2 s, 20 ms each: half of them.
    run = _pace(FakeTime(repeat(20 * MS)))
    assert (len(run.service_ns), run.missed_count) == (10, 10)
    assert list(run.response_ns) == sorted(run.response_ns)
    assert run.response_ns[-1] > 100 * MS
    notes = paced_notes(run)
    assert any("the queue fell behind" in note for note in notes)
    assert any("found the last inference still running" in note for note in notes)


def test_waiting_sleeps_until_shortly_before_and_spins_only_the_rest() -> None:
    time = FakeTime(repeat(1 * MS))
    _pace(time, spin_ns=50 * US)
    # 19 gaps of 9 ms each, half a gap before the first arrival and one behind the last.
    assert sum(time.slept_ns) > 0.99 * (200 * MS - 20 * (1 * MS + 50 * US))
    spun = time.reading_count * TICK_NS
    assert spun < 20 * (50 * US + 10 * TICK_NS)


def test_a_sleep_that_takes_too_long_makes_the_start_late_and_is_said() -> None:
    run = _pace(FakeTime(repeat(1 * MS), overshoot_ns=400 * US), spin_ns=50 * US)
    assert min(run.late_ns) > 300 * US
    assert min(run.response_ns) > 1300 * US
    (note,) = paced_notes(run)
    assert "nine in ten arrivals that found the model idle began within 1 ms of their time" in note


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0.001 ms"),
        (1000, "0.001 ms"),
        (13_000, "0.02 ms"),
        (50_000, "0.05 ms"),
        (51_000, "0.1 ms"),
        (7e9, "10000 ms"),
    ],
)
def test_durations_in_notes_are_rounded_up_so_that_rounds_say_the_same(duration_ns: float, text: str) -> None:
    assert rough_ms(duration_ns) == text


def test_coarser_steps_are_powers_of_ten() -> None:
    assert [rough_ms(one, steps=(1,)) for one in (11_000, 90_000, 100_000)] == ["0.1 ms", "0.1 ms", "0.1 ms"]


def test_the_window_goes_on_to_its_end_when_all_are_served() -> None:
    run = _pace(FakeTime(repeat(1 * MS)))
    assert 200 * MS <= run.end_ns - run.start_ns < 201 * MS


@pytest.mark.parametrize(
    ("overshoot_ns", "rate_hz", "spin_ns"),
    [(0, 100, 20 * US), (300 * US, 100, 300 * US), (9 * MS, 10, 1 * MS), (300 * US, 1000, 100 * US)],
)
def test_the_spin_is_as_long_as_sleeps_overshoot_but_a_tenth_of_a_period_at_most(
    overshoot_ns: int, rate_hz: float, spin_ns: int
) -> None:
    time = FakeTime(overshoot_ns=overshoot_ns)
    assert make_waiter(rate_hz, time.clock, time.sleep).spin_ns == pytest.approx(spin_ns, abs=2 * TICK_NS)


def test_even_arrivals_come_in_the_middle_of_their_periods() -> None:
    assert even_offsets(10.0, window_ns=300 * MS, least_count=1) == (50 * MS, 150 * MS, 250 * MS)
    # A slow rate goes on until there are enough.
    assert len(even_offsets(1.0, window_ns=300 * MS, least_count=4)) == 4


def test_random_arrivals_are_a_poisson_process_and_the_same_for_the_same_seed() -> None:
    offsets = random_offsets(1000.0, window_ns=20 * S, least_count=1, seed=3)
    assert offsets == random_offsets(1000.0, window_ns=20 * S, least_count=1, seed=3)
    assert offsets != random_offsets(1000.0, window_ns=20 * S, least_count=1, seed=4)
    assert list(offsets) == sorted(offsets)
    gaps = [later - earlier for earlier, later in pairwise(offsets)]
    mean = fmean(gaps)
    # Exponential: mean and standard deviation alike, four standard errors of 20,000 draws.
    assert mean == pytest.approx(1 * MS, rel=0.03)
    assert fmean((gap - mean) ** 2 for gap in gaps) ** 0.5 == pytest.approx(mean, rel=0.04)


@pytest.mark.parametrize("make", [even_offsets, lambda *given, **named: random_offsets(*given, **named, seed=1)])
def test_the_window_holds_every_arrival(make: Callable[..., tuple[int, ...]]) -> None:
    for rate_hz in (0.5, 7.0, 333.0):
        offsets = make(rate_hz, window_ns=200 * MS, least_count=10)
        assert len(offsets) >= 10
        assert window_of(offsets, rate_hz, 200 * MS) > offsets[-1]
