"""Any switch that a program of the controller's machine can reach: a port of a PoE switch, a relay on USB."""

from __future__ import annotations

import shlex
import subprocess

from steelyard.errors import UsageError, first_line
from steelyard.power_switches.contract import PowerError, PowerSwitch, SwitchKind

_EXAMPLE = "command:poe {action} 7"
_BY_HAND = "run it by hand on the controller's machine"
_TIMEOUT_S = 30.0
_PLACE = "{action}"


def make_switch(address: str) -> PowerSwitch:
    """Return a switch that runs a program, without a shell; {action} in its words becomes "on" or "off".

    Raises:
        UsageError: ``bad_switch``.
    """
    template = address.partition(":")[2]
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise UsageError("bad_switch", f"the command {template!r} cannot be read: {error}") from error
    if not words or _PLACE not in template or words[0].startswith(_PLACE):
        raise UsageError("bad_switch", f"switch {address!r} is no command with {_PLACE} in it, such as {_EXAMPLE!r}")

    def turn(on: bool) -> None:
        _run([word.replace(_PLACE, "on" if on else "off") for word in words])

    return PowerSwitch(description=f"the command {template!r}", turn=turn)


def _run(words: list[str]) -> None:
    shown = shlex.join(words)
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise PowerError("power_switch_silent", f"{shown} did not end within {_TIMEOUT_S:.0f} s; {_BY_HAND}") from error
    except OSError as error:
        raise PowerError("power_switch_failed", f"{shown} cannot be run ({first_line(error)}); {_BY_HAND}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        told = f"{shown} ended with {done.returncode} and said {said[:200]!r}"
        raise PowerError("power_switch_failed", f"{told}; {_BY_HAND}")


KIND = SwitchKind(
    scheme="command",
    summary="a program of the controller's machine",
    example=_EXAMPLE,
    make=make_switch,
)
