"""The doctor as the service sees the device: its user, its groups, its sandbox.

Two ways, and which one was taken is said: systemd-run with the settings of the installed unit; else, where that is
missing, a change of user alone, which shows what files allow and not what the sandbox forbids.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.errors import AgentError, UsageError

UNIT = "steelyard-agent.service"
_TIMEOUT_S = 180.0
# What says who runs the service and what it may do; the rest of [Service] says how it is started and watched.
_ABOUT_STARTING = frozenset(
    {"Type", "NotifyAccess", "ExecStart", "Restart", "RestartSec", "WatchdogSec", "TimeoutStartSec", "TimeoutStopSec"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledUnit:
    """The [Service] section of a unit, in order; a name may come twice."""

    settings: tuple[tuple[str, str], ...]

    @property
    def user(self) -> str:
        """Who runs it, "" for whoever runs systemd."""
        return next((value for name, value in reversed(self.settings) if name == "User"), "")

    def sandbox(self) -> tuple[str, ...]:
        """Return the settings that systemd-run is given, as NAME=VALUE."""
        return tuple(f"{name}={value}" for name, value in self.settings if name not in _ABOUT_STARTING)


def read_unit(text: str) -> InstalledUnit:
    """Read what `systemctl cat` prints: the unit, then its drop-ins, each with comments (systemd.syntax(7))."""
    section, settings = "", []
    for line in text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1]
        elif section == "Service" and "=" in stripped and stripped[0] not in "#;":
            name, _, value = stripped.partition("=")
            settings.append((name.strip(), value.strip()))
    return InstalledUnit(settings=tuple(settings))


def doctor_as_service(
    command: Sequence[str], *, is_root: bool, find: Callable[[str], str | None] = shutil.which
) -> tuple[str, int]:
    """Run ``command`` as the service would run it, its output on ours; return by which way, in words, and its status.

    Raises:
        UsageError: ``not_root``.
        AgentError: ``no_service``: no unit of ours is installed, or nothing here can become its user.
    """
    unit = _installed_unit(find)
    if not is_root:
        raise UsageError("not_root", "--as-service becomes the service's user: run it with sudo")
    if (runner := find("systemd-run")) is not None:
        words = [runner, "--pipe", "--wait", "--collect", "--quiet", "--service-type=exec"]
        words += [f"--property={setting}" for setting in unit.sandbox()]
        return f"by systemd-run with the settings of {UNIT}", _run([*words, "--", *command])
    if unit.user and (runner := find("runuser")) is not None:
        way = f"as the user {unit.user} alone (no systemd-run here): what the unit's sandbox forbids is not shown"
        return way, _run([runner, "-u", unit.user, "--", *command])
    raise AgentError("no_service", f"neither systemd-run nor runuser is here to run as {UNIT} does; install systemd")


def _installed_unit(find: Callable[[str], str | None]) -> InstalledUnit:
    program = find("systemctl")
    text = ""
    if program is not None:
        text = subprocess.run([program, "cat", UNIT], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    unit = read_unit(text)
    if not unit.settings:
        raise AgentError(
            "no_service", f"{UNIT} is not installed here; bring it with `steelyard deploy`, or leave --as-service out"
        )
    return unit


def _run(words: Sequence[str]) -> int:
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, cwd=Path("/")).returncode
    except subprocess.TimeoutExpired as error:
        raise AgentError(
            "no_service", f"{words[0]} did not finish within {_TIMEOUT_S:g} s; look at the system's load"
        ) from (error)
