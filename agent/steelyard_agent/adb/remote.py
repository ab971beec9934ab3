"""One program on the phone, from its start to its certain end: nothing may run on there when nobody listens."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass

from steelyard_agent.adb.adb import STATUS_MARK, Adb, AdbError
from steelyard_agent.adb.store import PHONE_FOLDER
from steelyard_agent.commands import end_group
from steelyard_agent.within import within

_log = logging.getLogger(__name__)

_PID_MARK = "steelyard-pid="
# A program that prints without end is not read into our memory without end: which delegates it applied stands at its
# beginning, the summary at its end.
_HEAD_BYTES = 256 * 1024
_TAIL_BYTES = 1024 * 1024
_END_GRACE_S = 5.0
_LINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEnd:
    """How a program on the phone ended.

    ``status`` is that of the phone's shell (128 and the signal's number when it was killed), None when the connection
    was lost before; ``timed_out`` is True when it was silent for too long and was ended; ``left_running`` is why it may
    still run there, "" when it surely does not.
    """

    output: str
    status: int | None
    timed_out: bool = False
    left_running: str = ""


async def run_remote(adb: Adb, command: str, *, timeout_s: float) -> RemoteEnd:
    """Run a command on the phone; ``timeout_s`` is the longest time without a line. Cancelling ends it there as well.

    Raises:
        OSError: adb cannot be started.
    """
    # The shell becomes the program, so that the number it printed is the program's own.
    process = await adb.start(f'sh -c \'echo {_PID_MARK}$$; exec "$0" "$@"\' {command}')
    reader = _Reader(process)
    timed_out, left_running = False, ""
    try:
        timed_out = await reader.read_until_silent(timeout_s)
    finally:
        # Also the way out of a cancelled caller.
        if reader.status is None:
            left_running = await _end_unless_ended(adb, reader)
        # Not process.kill(): that reaps a process that has just ended, which the event loop then reports as unknown.
        if process.returncode is None:
            end_group(process.pid)
        await process.wait()
    return RemoteEnd(output=reader.text(), status=reader.status, timed_out=timed_out, left_running=left_running)


def end_strays(adb: Adb) -> str:
    """End programs of earlier blocks that outlived their cable or their agent; return why one may go on.

    Raises:
        AdbError: The phone is gone.
    """
    # The brackets keep the pattern from finding the shell that it stands in. A phone before Android 7 has no pgrep.
    answer = adb.shell(f"pgrep -f '{PHONE_FOLDER[:-1]}[{PHONE_FOLDER[-1]}]/'")
    found = answer.output.split() if answer.status == 0 else []
    return "; ".join(filter(None, (_end(adb, int(word)) for word in found if re.fullmatch(r"[0-9]{1,9}", word))))


class _Reader:
    """Hears what adb hands on, keeps its beginning and its end, and takes our two marks out of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._stream = process.stdout
        self._kept = bytearray()
        self.pid: int | None = None
        self.status: int | None = None

    async def read_until_silent(self, timeout_s: float) -> bool:
        """Read to the end; True when nothing came for ``timeout_s`` instead."""
        while True:
            try:
                # By chunks, not by lines: a program may print one that never ends.
                chunk = await within(self._stream.read(_LINE_BYTES), timeout_s)
            except asyncio.TimeoutError:
                return True
            if not chunk:
                return False
            self._take(chunk)

    async def read_until_known(self) -> None:
        """Read until the program's number, or its end, is known."""
        while self.pid is None and (chunk := await self._stream.read(_LINE_BYTES)):
            self._take(chunk)

    def text(self) -> str:
        """Return what the program printed."""
        text = self._kept.decode("utf-8", "replace").replace("\r\n", "\n")
        return re.sub(rf"^(?:{_PID_MARK}|{STATUS_MARK})[0-9]+$\n?", "", text, flags=re.MULTILINE)

    def _take(self, chunk: bytes) -> None:
        self._kept += chunk
        end = self._kept[-2 * _LINE_BYTES :].decode("utf-8", "replace").replace("\r\n", "\n")
        # With its line's end: a chunk may end in the middle of a number.
        if self.pid is None and (match := re.search(rf"^{_PID_MARK}([0-9]{{1,9}})\n", end, re.MULTILINE)):
            self.pid = int(match.group(1))
        if match := re.search(rf"^{STATUS_MARK}([0-9]{{1,9}})\n\s*\Z", end, re.MULTILINE):
            self.status = int(match.group(1))
        if len(self._kept) > _HEAD_BYTES + _TAIL_BYTES:
            del self._kept[_HEAD_BYTES:-_TAIL_BYTES]


async def _end_unless_ended(adb: Adb, reader: _Reader) -> str:
    """End the program also when its caller was cancelled before it said its number; return why it may go on."""
    with suppress(asyncio.TimeoutError):
        await within(reader.read_until_known(), _END_GRACE_S)
    if reader.pid is None or reader.status is not None:
        return ""
    return await asyncio.shield(asyncio.to_thread(_end, adb, reader.pid))


def _end(adb: Adb, pid: int) -> str:
    """End a process on the phone, TERM then KILL, and see it gone; return why it may not be."""
    deadline = time.monotonic() + _END_GRACE_S
    signal = "TERM"
    try:
        while time.monotonic() < deadline:
            # The number may belong to another program by now; only one that we sent is ended.
            script = (
                f"case \"$(cat /proc/{pid}/cmdline 2>/dev/null | tr '\\0' ' ')\" in "
                f"*/steelyard/*) kill -{signal} {pid}; sleep 0.2; kill -0 {pid} 2>/dev/null && echo alive;; esac"
            )
            if "alive" not in adb.shell(script).output:
                return ""
            signal = "KILL"
    except AdbError as error:
        _log.warning("the program %d on the phone %s could not be ended: %s", pid, adb.serial, error)
        return str(error)
    return f"process {pid} did not end within {_END_GRACE_S:g} s"
