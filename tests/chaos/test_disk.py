"""A disk that is full and has room again, mounted or by a limit on the processes that write to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.disk import Disk, limited_disk, mounted_disk

# Writes a byte more for each line that it hears, and says how that went.
_WRITER = """
import sys
for line in sys.stdin:
    try:
        with open(sys.argv[1], "ab") as file:
            file.write(b"x" * 4096)
        print("written", flush=True)
    except OSError as error:
        print("refused", flush=True)
"""


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def check(disk: Disk, process: subprocess.Popen[str]) -> None:
    assert ask(process) == "written"
    disk.fill()
    assert disk.is_full
    assert ask(process) == "refused"
    disk.free()
    assert not disk.is_full
    assert ask(process) == "written"


def test_a_mounted_disk_refuses_to_be_written_while_it_is_full(tmp_path: Path) -> None:
    disk = mounted_disk(tmp_path / "disk")
    if disk is None:
        pytest.skip("this process may not mount a file system")
    try:
        with writer(disk.folder / "file") as process:
            check(disk, process)
    finally:
        disk.close()
    assert not list(disk.folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes the limits of a running process")
def test_a_limited_disk_refuses_what_its_owner_writes_while_it_is_full(tmp_path: Path) -> None:
    pids: list[int] = []
    disk = limited_disk(tmp_path / "disk", lambda: pids)
    with writer(disk.folder / "file") as process:
        pids.append(process.pid)
        check(disk, process)
