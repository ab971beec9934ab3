"""Programs that a device brings and that we ask for what no file tells: vcgencmd, nvpmodel, getprop, dumpsys.

Nothing here raises for a program that is missing, denied, slow or wrong: its answer carries the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DEFAULT_TIMEOUT_S = 2.0

# Android's own programs are not on the path of an app such as Termux, whose libraries they must not load.
_ANDROID_FOLDER = "/system/bin"
_NOT_FOR_ANDROID = frozenset({"LD_LIBRARY_PATH", "LD_PRELOAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """What a program printed, stripped; None with the ``reason`` when it gave no answer."""

    output: str | None
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse an answer that is neither a text nor a reason."""
        if (self.output is None) != bool(self.reason):
            raise ValueError(f"command answer {self.output!r} does not fit reason {self.reason!r}")

    @property
    def text(self) -> str:
        """Return what was printed, "" when there was no answer."""
        return self.output or ""


RunCommand = Callable[[Sequence[str]], CommandAnswer]


def run_program(command: Sequence[str], timeout_s: float = DEFAULT_TIMEOUT_S) -> CommandAnswer:
    """Run a program of the device, without a shell and without input, and return what it printed."""
    program = shutil.which(command[0]) or shutil.which(command[0], path=_ANDROID_FOLDER)
    if program is None:
        return CommandAnswer(output=None, reason=f"the program {command[0]} is not installed here")
    shown = " ".join(command)
    environment = None
    if program.startswith(_ANDROID_FOLDER):
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_ANDROID}
    try:
        done = subprocess.run(
            (program, *command[1:]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return CommandAnswer(output=None, reason=f"{shown} did not answer within {timeout_s:g} s")
    except OSError as error:
        return CommandAnswer(output=None, reason=f"{shown} cannot be run: {error.strerror or error}")
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["nothing"]
        return CommandAnswer(output=None, reason=f"{shown} ended with status {done.returncode} and said: {said[0]}")
    return CommandAnswer(output=done.stdout.strip())
