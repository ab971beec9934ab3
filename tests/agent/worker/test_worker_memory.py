"""Memory by phase from a /proc that we own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.worker.memory import MemoryLog, parse_status

STATUS = """Name:\tpython
VmHWM:\t  {peak} kB
VmRSS:\t  60000 kB
RssAnon:\t   30000 kB
RssFile:\t   29000 kB
RssShmem:\t    1000 kB
Threads:\t3
"""


def _proc(tmp_path: Path, peak: int = 70000, *, resettable: bool = True) -> Path:
    (tmp_path / "status").write_text(STATUS.format(peak=peak))
    if resettable:
        (tmp_path / "clear_refs").write_text("")
    else:
        # A folder in its place is refused to root too, which file modes are not.
        (tmp_path / "clear_refs").mkdir()
    return tmp_path


def test_phases_hold_the_parts_of_the_resident_set(tmp_path: Path) -> None:
    log = MemoryLog(proc=_proc(tmp_path), platform="linux")
    log.start()
    log.read("loaded")
    assert list(log.phases) == ["imported", "loaded"]
    assert log.phases["loaded"] == {
        "resident_bytes": 60000 * 1024,
        "anonymous_bytes": 30000 * 1024,
        "file_bytes": 29000 * 1024,
        "shared_bytes": 1000 * 1024,
    }
    assert log.reason == ""


def test_the_peak_counts_from_its_reset(tmp_path: Path) -> None:
    log = MemoryLog(proc=_proc(tmp_path), platform="linux")
    log.start()
    assert (tmp_path / "clear_refs").read_text() == "5"
    _proc(tmp_path, peak=65000)
    assert (log.peak().resident_bytes, "reset when" in log.peak().source) == (65000 * 1024, True)


def test_a_peak_that_cannot_be_reset_counts_only_when_it_rose(tmp_path: Path) -> None:
    log = MemoryLog(proc=_proc(tmp_path, resettable=False), platform="linux")
    log.start()
    assert log.peak().resident_bytes is None
    assert "could not be reset" in log.peak().source
    (tmp_path / "status").write_text(STATUS.format(peak=80000))
    assert log.peak().resident_bytes == 80000 * 1024
    assert "not reset" in log.peak().source


@pytest.mark.parametrize("content", ["", "garbage", "VmRSS:\tmany kB\n"])
def test_a_system_that_does_not_tell_gives_a_reason(tmp_path: Path, content: str) -> None:
    (tmp_path / "status").write_text(content)
    log = MemoryLog(proc=tmp_path, platform="linux")
    log.start()
    assert log.phases == {}
    assert "has no VmRSS" in log.reason
    assert log.peak().resident_bytes is None
    assert "no VmHWM" in log.peak().source


def test_a_system_without_proc_uses_rusage_for_the_peak_only(tmp_path: Path) -> None:
    log = MemoryLog(proc=tmp_path / "nothing", platform="darwin")
    log.start()
    assert log.phases == {}
    assert "darwin" in log.reason
    peak = log.peak()
    assert peak.resident_bytes is not None
    assert "ru_maxrss" in peak.source


@given(st.text())
def test_parsing_never_raises(text: str) -> None:
    assert all(size >= 0 for size in parse_status(text).values())
