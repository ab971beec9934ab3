"""The resident set from outside."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from steelyard_agent import memory_watch

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "statm").write_text("500 100 20 1 0 50 0\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    1000 kB\n")
    return tmp_path


def test_the_resident_set_is_read_in_pages(proc: Path) -> None:
    assert memory_watch.resident_bytes(7, proc) == 100 * PAGE_BYTES


def test_a_process_that_is_gone_or_unreadable_is_none(proc: Path) -> None:
    assert memory_watch.resident_bytes(8, proc) is None
    (proc / "7" / "statm").write_text("")
    assert memory_watch.resident_bytes(7, proc) is None


def test_the_default_limit_is_four_fifths_of_what_is_available(proc: Path) -> None:
    assert memory_watch.default_limit_bytes(proc) == 1000 * 1024 * 8 // 10
    (proc / "meminfo").write_text("MemTotal: 9000 kB\n")
    assert memory_watch.default_limit_bytes(proc) is None


def test_without_proc_psutil_is_asked(tmp_path: Path) -> None:
    assert memory_watch.resident_bytes(os.getpid(), tmp_path) > 0
    assert memory_watch.resident_bytes(2**22 + 1, tmp_path) is None
    assert memory_watch.available_bytes(tmp_path) > 0


async def test_the_watch_ends_when_the_limit_is_passed(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_watch, "POLL_INTERVAL_S", 0.001)
    watch = asyncio.create_task(memory_watch.wait_until_over(7, 150 * PAGE_BYTES, proc=proc))
    for _ in range(5):
        await asyncio.sleep(0.002)
    assert not watch.done()
    (proc / "7" / "statm").write_text("500 200 20 1 0 50 0\n")
    assert await watch == 200 * PAGE_BYTES


async def test_the_watch_takes_in_the_least_that_was_available(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_watch, "POLL_INTERVAL_S", 0.001)
    least = memory_watch.LeastAvailable()
    watch = asyncio.create_task(memory_watch.wait_until_over(7, 150 * PAGE_BYTES, least=least, proc=proc))
    for available_kb in (600, 400, 900):
        (proc / "meminfo").write_text(f"MemAvailable: {available_kb} kB\n")
        while memory_watch.available_bytes(proc) != available_kb * 1024 or least.byte_count is None:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
    watch.cancel()
    assert least.byte_count == 400 * 1024


def test_a_system_that_does_not_tell_leaves_the_least_unknown(proc: Path) -> None:
    (proc / "meminfo").write_text("MemTotal: 9000 kB\n")
    least = memory_watch.LeastAvailable()
    least.look(proc)
    assert least.byte_count is None
