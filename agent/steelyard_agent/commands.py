"""Programs that a device brings and that we ask for what no file tells: vcgencmd, nvpmodel, getprop, dumpsys.

Nothing here raises for a program that is missing, denied, slow or wrong: its answer carries the reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

DEFAULT_TIMEOUT_S = 2.0

# Android's own programs are not on the path of an app such as Termux, whose libraries they must not load.
_ANDROID_FOLDER = "/system/bin"
_NOT_FOR_ANDROID = frozenset({"LD_LIBRARY_PATH", "LD_PRELOAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """What a program printed, stripped; None with the ``reason`` when it gave no answer.

    ``is_passing`` is True when it could not even be asked (a phone that is unplugged): it may answer the next time.
    """

    output: str | None
    reason: str = ""
    is_passing: bool = False

    def __post_init__(self) -> None:
        """Refuse an answer that is neither a text nor a reason."""
        if (self.output is None) != bool(self.reason):
            raise ValueError(f"command answer {self.output!r} does not fit reason {self.reason!r}")

    @property
    def text(self) -> str:
        """Return what was printed, "" when there was no answer."""
        return self.output or ""


def run_program(command: Sequence[str], timeout_s: float = DEFAULT_TIMEOUT_S) -> CommandAnswer:
    """Run a program of the device, without a shell and without input, and return what it printed."""
    import shutil

    program = shutil.which(command[0]) or shutil.which(command[0], path=_ANDROID_FOLDER)
    if program is None:
        return CommandAnswer(output=None, reason=f"the program {command[0]} is not installed here")
    shown = " ".join(command)
    environment = None
    if program.startswith(_ANDROID_FOLDER):
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_ANDROID}
    try:
        done = run_to_its_end((program, *command[1:]), timeout_s, environment=environment)
    except subprocess.TimeoutExpired:
        return CommandAnswer(output=None, reason=f"{shown} did not answer within {timeout_s:g} s")
    except OSError as error:
        return CommandAnswer(output=None, reason=f"{shown} cannot be run: {error.strerror or error}")
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["nothing"]
        return CommandAnswer(output=None, reason=f"{shown} ended with status {done.returncode} and said: {said[0]}")
    return CommandAnswer(output=done.stdout.strip())


def run_to_its_end(
    command: Sequence[str], timeout_s: float, *, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program without input and return what it printed; what it started is ended with it when time runs out.

    Many such programs are shell scripts: killing the shell alone leaves what it waits for behind, as the program behind
    Termux's battery command, which waits for good where its app is not installed.

    Raises:
        subprocess.TimeoutExpired: It was ended.
        OSError: It cannot be started.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            output, said = process.communicate(timeout=timeout_s)
        except BaseException:
            end_group(process.pid)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, said)


def end_group(leader_pid: int) -> None:
    """Kill a process that leads a session of its own, and all that it started there; no error when they are gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)
