"""A phone as a ``System``: its files in a mirror on this machine, renewed by one command, its programs over adb.

Meters read dozens of small files around every block. Each ``adb shell`` takes tens of milliseconds, so that all of them
are read by one: ``grep -H ''`` prints every line of every file after the file's name, and why a file cannot be read.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.adb.adb import Adb, AdbError
from steelyard_agent.commands import CommandAnswer
from steelyard_agent.meters.contract import System

# No power supply: on the cable the battery is charged, and its current says nothing about a model.
MIRRORED = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/vmstat",
    "/proc/pressure/memory",
    "/proc/self/cpuset",
    "/proc/self/cgroup",
    "/proc/self/status",
    "/proc/sys/kernel/random/boot_id",
    "/sys/class/thermal/thermal_zone*/type",
    "/sys/class/thermal/thermal_zone*/temp",
    "/sys/class/thermal/thermal_zone*/trip_point_*_t*",
    "/sys/class/thermal/cooling_device*/type",
    "/sys/class/thermal/cooling_device*/cur_state",
    "/sys/class/thermal/cooling_device*/max_state",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/present",
    "/sys/devices/system/cpu/cpu*/cpu_capacity",
    "/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq",
    "/sys/devices/system/cpu/cpufreq/policy*/[acs]*",
    "/sys/devices/system/cpu/cpufreq/policy*/stats/time_in_state",
)
# What every Android has; others are not asked for over the cable.
_PROGRAMS = frozenset({"getprop", "settings", "device_config", "dumpsys"})
_PROGRAM_TIMEOUT_S = 10.0
_FILE = r"(/(?:proc|sys)(?:/[A-Za-z0-9_,-]+)+)"
_REFUSED = re.compile(rf"grep: {_FILE}: (.+)")
_LINE = re.compile(rf"{_FILE}:(.*)")


class PhoneFiles:
    """The mirror of one phone in ``folder``; ``refresh`` blocks for one adb command.

    Looks around blocks and heartbeats come from different threads: one renews the mirror at a time.
    """

    def __init__(self, adb: Adb, folder: Path) -> None:
        self._adb = adb
        self._known: dict[str, str] = {}
        self._uname: dict[str, str] = {}
        self._refused: dict[Path, str] = {}
        self._turn = threading.Lock()
        # What an agent before this one read is not the phone's state now.
        shutil.rmtree(folder, ignore_errors=True)
        self.system = System(
            root=folder,
            clock_ns=time.monotonic_ns,
            open_descriptor=self._open,
            run_command=self._run_command,
        )

    def refresh(self) -> None:
        """Read every file again; what is refused is refused in the mirror, and what is gone is empty.

        Raises:
            AdbError: The phone is gone.
        """
        with self._turn:
            contents, refused = parse_listing(self._adb.shell(f"grep -H '' {' '.join(MIRRORED)}").output)
            self._add_what_uname_says(contents)
            try:
                self._take(contents, refused)
            except OSError as error:
                # A name as long as no file's, or one that is a file and a folder at once.
                raise AdbError(
                    "phone_nonsense",
                    f"the phone {self._adb.serial} lists files that cannot be ({error.strerror}); restart it",
                ) from error

    def forget(self) -> None:
        """Empty the mirror: nothing that was read before may pass for what is true now."""
        with self._turn:
            self._take({}, {})

    def _take(self, contents: dict[str, str], refused: dict[str, str]) -> None:
        self._refused = {self.system.path(absolute): why for absolute, why in refused.items()}
        for absolute, text in contents.items():
            if self._known.get(absolute) != text:
                path = self.system.path(absolute)
                path.parent.mkdir(parents=True, exist_ok=True)
                # In place: meters keep descriptors open.
                path.write_text(text, encoding="utf-8")
        for absolute in self._known.keys() - contents.keys():
            # Emptied, not removed: a meter that holds it open shall see it come back.
            self.system.path(absolute).write_text("")
        self._known = contents

    def _add_what_uname_says(self, contents: dict[str, str]) -> None:
        """Fill in two files that phones lack or hide, so that nobody takes this machine's values for the phone's."""
        if not self._uname:
            words = self._adb.shell("uname -m; uname -r").output.split()
            machine, release = words if len(words) == 2 else ("unknown", "unknown")
            self._uname = {"/proc/sys/kernel/arch": f"{machine}\n", "/proc/sys/kernel/osrelease": f"{release}\n"}
        contents.update(self._uname)

    def _open(self, path: Path, flags: int) -> int:
        if path in self._refused:
            why = self._refused[path]
            if why == "Permission denied":
                raise PermissionError(errno.EACCES, why, str(path))
            raise OSError(errno.EIO, why, str(path))
        return os.open(path, flags)

    def _run_command(self, command: Sequence[str]) -> CommandAnswer:
        return run_on_phone(self._adb, command)


def run_on_phone(adb: Adb, command: Sequence[str]) -> CommandAnswer:
    """Ask a program of the phone, as ``run_program`` asks one of this machine; never raises."""
    shown = " ".join(command)
    if command[0] not in _PROGRAMS:
        return CommandAnswer(output=None, reason=f"the program {command[0]} is not installed there")
    try:
        # Every word of these commands is our own.
        answer = adb.shell(shown, timeout_s=_PROGRAM_TIMEOUT_S)
    except AdbError as error:
        return CommandAnswer(output=None, reason=str(error), is_passing=True)
    if answer.status != 0:
        said = answer.output.strip().splitlines()[-1:] or ["nothing"]
        return CommandAnswer(output=None, reason=f"{shown} ended with status {answer.status} and said: {said[0]}")
    return CommandAnswer(output=answer.output.strip())


def parse_listing(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of each file and why others cannot be read, from what ``grep -H ''`` printed; never raises."""
    lines: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    for line in text.splitlines():
        if match := _REFUSED.fullmatch(line):
            path, why = match.groups()
            if why not in ("No such file or directory", "Is a directory"):
                refused[path] = why
        elif match := _LINE.fullmatch(line):
            lines.setdefault(match.group(1), []).append(match.group(2))
    return {path: "\n".join(parts) + "\n" for path, parts in lines.items()}, refused
