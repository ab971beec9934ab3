"""Counters of a fake /proc between two readings, and of this process as it is."""

import os
from pathlib import Path

import pytest

from steelyard_agent.worker.codec import decode_result, encode_result
from steelyard_agent.worker.contention import (
    ALLOWED_WAKE_NS,
    Contention,
    ContentionWatch,
    Counters,
    between,
    read_counters,
)
from steelyard_agent.worker.platforms import has_linux_kernel

MS = 1_000_000
TICK_NS = 10 * MS
CORES = frozenset({0, 1})


class FakeProc:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at_ns = 0
        self.threads("10", (5 * MS, 1 * MS, 7))
        self.stat((100, 5), (200, 6))

    def threads(self, name: str, times: tuple[int, int, int]) -> None:
        task = self.folder / "self" / "task" / name
        task.mkdir(parents=True, exist_ok=True)
        (task / "schedstat").write_text(" ".join(map(str, times)) + "\n")

    def stat(self, *cores: tuple[int, int]) -> None:
        lines = [f"cpu{core} {busy} 0 0 900 9 0 0 {steal} 0 0" for core, (busy, steal) in enumerate(cores)]
        (self.folder / "stat").write_text("\n".join(["cpu  1 2 3 4 5 6 7 8 9 0", *lines, "intr 5 0 0", ""]))

    def read(self, after_ms: int = 0) -> Counters:
        self.at_ns += after_ms * MS
        return read_counters(self.folder, CORES, lambda: self.at_ns)


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def seen(before: Counters, after: Counters) -> Contention:
    return between(before, after, tick_ns=TICK_NS, core_count=len(CORES))


def test_time_ready_but_not_running_is_summed_over_threads(proc: FakeProc) -> None:
    before = proc.read()
    proc.threads("10", (105 * MS, 51 * MS, 37))
    proc.threads("11", (90 * MS, 10 * MS, 5))
    proc.threads("12", (1 * MS, 0, 2))
    now = seen(before, proc.read(200))
    assert now.window_ns == 200 * MS
    assert now.run_delay_ns == 60 * MS
    assert now.waiting_ns == 60 * MS - 35 * ALLOWED_WAKE_NS
    assert now.thread_count == 2, "the third one wanted no core"


def test_a_pool_that_is_woken_often_does_not_wait_for_others(proc: FakeProc) -> None:
    before = proc.read()
    proc.threads("11", (50 * MS, 5000 * (ALLOWED_WAKE_NS // 2), 5000))
    now = seen(before, proc.read(200))
    assert now.run_delay_ns == 50 * MS
    assert now.waiting_ns == 0


def test_busy_and_stolen_ticks_are_those_of_the_lent_cores(proc: FakeProc) -> None:
    before = proc.read()
    proc.stat((120, 6), (203, 8), (999, 99))
    now = seen(before, proc.read(200))
    assert (now.busy_ns, now.steal_ns, now.step_ns) == (230 * MS, 30 * MS, TICK_NS)


def test_a_core_that_went_offline_between_counts_nothing(proc: FakeProc) -> None:
    before = proc.read()
    proc.stat((120, 6))
    assert seen(before, proc.read(200)).busy_ns == 200 * MS
    proc.stat((3, 0))
    assert seen(before, proc.read(1)).busy_ns == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda proc: (proc.folder / "self/task/10/schedstat").unlink(), "schedstat is not there"),
        (lambda proc: proc.threads("10", (0, 0, 0)), "counts nothing on this kernel"),
        (lambda proc: (proc.folder / "self/task/10/schedstat").write_text("1 2\n"), "does not hold three numbers"),
    ],
)
def test_threads_that_cannot_be_read_are_a_reason(proc: FakeProc, spoil: object, reason: str) -> None:
    spoil(proc)  # type: ignore[operator]
    now = seen(proc.read(), proc.read(200))
    assert (now.run_delay_ns, now.waiting_ns, now.thread_count) == (None, None, None)
    assert len(now.reasons) == 1
    assert reason in now.reasons[0]
    assert now.busy_ns == 0, "the rest is told all the same"


def test_where_there_is_no_proc_everything_is_a_reason(tmp_path: Path) -> None:
    counters = read_counters(tmp_path / "nowhere", CORES)
    now = seen(counters, counters)
    assert len(now.reasons) == 2
    assert all("is not there" in reason for reason in now.reasons)
    assert (now.run_delay_ns, now.busy_ns, now.steal_ns) == (None, None, None)
    assert now.major_fault_count == 0


def test_it_travels_to_the_supervisor_and_back() -> None:
    from steelyard_agent.worker.block import WorkerResult

    result = WorkerResult(runtime_version="1", contention=Contention(window_ns=5, run_delay_ns=1, reasons=("why",)))
    assert decode_result(encode_result(result)) == result


@pytest.mark.skipif(not has_linux_kernel(), reason="schedstat is Linux's")
def test_the_watch_of_a_real_window_counts_its_own_work() -> None:
    watch = ContentionWatch()
    assert watch.end() is None, "nothing was begun"
    watch.begin()
    while (now := watch.end()) is None or (now.own_ns or 0) < 30 * MS:
        sum(range(10_000))
    assert now.window_ns >= 30 * MS
    assert now.core_count == len(os.sched_getaffinity(0))
    if now.run_delay_ns is not None:
        assert (now.own_ns or 0) + now.run_delay_ns <= 1.2 * now.window_ns, "what waited did not run"
