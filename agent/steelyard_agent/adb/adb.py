"""The adb program (Android Debug Bridge), which speaks to one phone. Standard library only.

Sources: adb's own help and messages (packages/modules/adb/{SERVICES,OVERVIEW}.TXT, client/commandline.cpp). Phones
before Android 7 do not hand on exit statuses, so that each script prints its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.commands import run_to_its_end
from steelyard_agent.errors import AgentError, UsageError

SHELL_TIMEOUT_S = 20.0
# A phone on USB 2 takes some 10 MB/s; a slow one is given a tenth of that.
_SLOWEST_BYTES_PER_S = 1_000_000
STATUS_MARK = "steelyard-status="
_STATUS = re.compile(rf"(.*?)\n?{STATUS_MARK}([0-9]{{1,9}})\s*", re.DOTALL)
_WHERE_SDKS_ARE = ("ANDROID_HOME", "ANDROID_SDK_ROOT")


class AdbError(AgentError):
    """The phone cannot be reached, or adb did not do what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellAnswer:
    """What a script on the phone printed (both streams, in order) and its exit status."""

    output: str
    status: int


class Adb:
    """Speaks to the phone with one serial number. Methods block, but for ``start``."""

    def __init__(self, program: str, serial: str) -> None:
        self._program = program
        self.serial = serial

    def shell(self, script: str, *, timeout_s: float = SHELL_TIMEOUT_S) -> ShellAnswer:
        """Run a script in the phone's shell.

        Raises:
            AdbError: The phone is gone or did not answer in time.
        """
        done = _run([*self._command(), "shell", with_status(script)], timeout_s)
        answer = _STATUS.fullmatch(done.stdout.replace("\r\n", "\n"))
        if answer is None:
            raise _explained(done.stderr or done.stdout, self.serial)
        return ShellAnswer(output=answer.group(1), status=int(answer.group(2)))

    def push(self, local: Path, remote: str) -> None:
        """Copy a file to the phone.

        Raises:
            AdbError: It could not be copied; the reason is "phone_full" when there was no room.
        """
        timeout_s = SHELL_TIMEOUT_S + local.stat().st_size / _SLOWEST_BYTES_PER_S
        done = _run([*self._command(), "push", str(local), remote], timeout_s)
        if done.returncode != 0:
            # Without the folders that adb repeats: the words of their names are not adb's.
            said = f"{done.stderr}\n{done.stdout}".replace(str(local), local.name)
            raise _explained(said, self.serial)

    async def start(self, script: str) -> asyncio.subprocess.Process:
        """Start a script on the phone and return the local process that hears it; its end is not the script's."""
        return await asyncio.create_subprocess_exec(
            *(*self._command(), "shell", with_status(script)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # An interrupt at the terminal is the agent's to handle.
            start_new_session=True,
        )

    def _command(self) -> list[str]:
        return [self._program, "-s", self.serial]


def with_status(script: str) -> str:
    """Return the script with its exit status as the last line that it prints."""
    return f"( {script} ) 2>&1; status=$?; echo; echo {STATUS_MARK}$status"


def find_adb(environment: Mapping[str, str]) -> str:
    """Return the adb program: on the path, or in the Android SDK that the environment names.

    Raises:
        UsageError: There is none.
    """
    folders = [f"{environment[name]}/platform-tools" for name in _WHERE_SDKS_ARE if environment.get(name)]
    path = os.pathsep.join([environment.get("PATH", os.defpath), *folders])
    program = shutil.which("adb", path=path)
    if program is None:
        raise UsageError(
            "no_adb",
            "the program adb is not installed here; install the Android platform tools (on Debian: apt install adb)",
        )
    return program


def connect(program: str, serial: str) -> Adb:
    """Return the phone with this serial number, or the only one that is plugged in for "".

    Raises:
        AdbError: There is no such phone, or it does not let this computer in.
    """
    done = _run([program, "devices"], SHELL_TIMEOUT_S)
    if done.returncode != 0:
        raise _explained(done.stderr, serial)
    # A phone without a serial number is listed as "(no serial number)", one without rights as "????????????".
    states = dict(re.findall(r"^([^\t\n]+)\t+(.+?)\s*$", done.stdout, re.MULTILINE))
    if not serial:
        serial = _only_one(states)
    elif serial not in states:
        raise _no_such(serial, states)
    if states[serial].split()[0] != "device":
        raise _explained(f"device {states[serial]}", serial)
    return Adb(program, serial)


def _only_one(states: Mapping[str, str]) -> str:
    if len(states) > 1:
        raise AdbError("several_phones", f"several phones are plugged in ({_listed(states)}); name one: --adb SERIAL")
    if not states:
        raise _no_such("", {})
    return next(iter(states))


def _no_such(serial: str, known: Collection[str]) -> AdbError:
    wanted = f"no phone {_shown(serial)} is plugged in" if serial else "no phone is plugged in"
    others = f"; adb sees {_listed(known)}" if known else "; plug it in and switch on USB debugging"
    return AdbError("no_phone", f"{wanted}{others}")


def _listed(serials: Collection[str]) -> str:
    return ", ".join(map(_shown, sorted(serials)))


def _shown(text: str) -> str:
    """Return what a device told of itself, fit for a line of a terminal: whoever made it chose the bytes."""
    return text[:100] if text.isprintable() else repr(text[:100])


def _run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return run_to_its_end(command, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise AdbError(
            "phone_silent", f"adb gave no answer within {timeout_s:.0f} s; plug the phone in again, or adb kill-server"
        ) from error
    except OSError as error:
        raise AdbError("no_adb", f"{command[0]} cannot be run: {error.strerror or error}") from error


# What adb and the phone say, the reason, and what a person does about it.
_KNOWN = (
    ("No space left", "phone_full", "free some space on it"),
    ("unauthorized", "phone_unauthorized", "unlock it and accept this computer in the dialog on its screen"),
    ("still authorizing", "phone_unauthorized", "unlock it and accept this computer in the dialog on its screen"),
    ("offline", "phone_offline", "plug it in again, or switch USB debugging off and on"),
    ("no permissions", "phone_no_permissions", "install the udev rules for Android devices and plug it in again"),
    ("not found", "phone_gone", "plug it in again"),
    ("no devices", "phone_gone", "plug it in again"),
    ("closed", "phone_gone", "plug it in again"),
    ("read-only file system", "phone_read_only", "/data/local/tmp cannot be written there"),
)


def _explained(said: str, serial: str) -> AdbError:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("*")]
    # Long explanations follow the first line that names the trouble.
    first = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "nothing")
    phone, quoted = _shown(serial), re.sub(r"[^\x20-\x7e]", "?", first)
    for words, reason, advice in _KNOWN:
        if words.lower() in said.lower():
            return AdbError(reason, f"the phone {phone} cannot be used ({quoted[:200]}); {advice}")
    return AdbError("adb_failed", f"adb failed with the phone {phone} and said: {quoted[:300]}")
