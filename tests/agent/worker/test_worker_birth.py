"""What a worker does with its own process first."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from steelyard_agent.worker import birth
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sched_setaffinity")


@pytest.mark.parametrize(("told", "expected"), [("40", 60), ("", None), ("soon", None), ("101", None), ("0", None)])
def test_the_process_start_counts_from_the_launch(told: str, expected: int | None) -> None:
    assert birth.process_start_ns({birth.LAUNCH_VARIABLE: told}, 100) == expected


def test_a_worker_started_by_hand_knows_no_launch_and_no_supervisor() -> None:
    assert birth.process_start_ns({}, 100) is None
    assert birth.die_with_supervisor({}) is None


def test_a_worker_whose_supervisor_is_gone_ends() -> None:
    with pytest.raises(SystemExit, match="the supervisor -1 is gone"):
        birth._check_parent("-1")


@_linux
def test_a_core_that_is_not_there_is_named() -> None:
    with pytest.raises(BlockFailure, match="core 4096 is not one of the cores") as caught:
        birth.pin((4096,))
    assert caught.value.status is BlockStatus.USER_ERROR


@_linux
def test_pinning_binds_this_process() -> None:
    before = os.sched_getaffinity(0)
    try:
        core = min(before)
        assert birth.pin((core,)) == ""
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, before)
    assert birth.pin(()) == ""


def test_a_system_without_affinity_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert "not pinned to cores 0, 1" in birth.pin((1, 0))


def test_the_oom_killer_is_told_where_it_can_be(tmp_path: Path) -> None:
    birth.offer_to_oom_killer(tmp_path / "oom_score_adj")
    assert (tmp_path / "oom_score_adj").read_text() == "1000"
    birth.offer_to_oom_killer(tmp_path / "missing" / "oom_score_adj")


def test_without_a_kernel_signal_the_end_of_standard_input_ends_the_worker() -> None:
    read_end, write_end = os.pipe()
    ended = threading.Event()
    waiter = threading.Thread(target=birth._wait_for_end, args=(read_end, ended.set))
    waiter.start()
    os.write(write_end, b"something")
    os.close(write_end)
    waiter.join(timeout=30)
    os.close(read_end)
    assert ended.is_set()


def test_on_linux_no_thread_is_needed() -> None:
    assert sys.platform != "linux" or birth.watch_stdin() is None
