"""What Android does to the process that measures: its cpuset, battery saver, the killing of phantom processes, doze."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from steelyard_agent.commands import CommandAnswer
from steelyard_agent.cores import format_cores, lent_cores
from steelyard_agent.meters.contract import System
from steelyard_agent.surroundings.android_facts import (
    HOW_TO_STOP_PHANTOM_KILLING,
    api_level,
    ask,
    cpuset,
    phantom_killing,
)
from steelyard_agent.surroundings.contract import Circumstance

_CPUSET = "android_cpuset"
_CORES = "android_allowed_cores"
# The cpusets of what the user does not see; Android gives them the little cores, and few of those.
_BACKGROUND = frozenset({"background", "system-background", "restricted"})
_FOREGROUND = frozenset({"top-app", "foreground", "foreground_window"})
BRING_TERMUX_FORWARD = "bring Termux to the foreground, hold a wake lock (termux-wake-lock) and run again"


def background_cpuset(system: System) -> str:
    """Return the cpuset of the background that this process is in now, "" in any other and on no Android."""
    name, _ = cpuset(system)
    return name if name is not None and _kind(name) in _BACKGROUND and api_level(system) is not None else ""


class AndroidCircumstances:
    """Reads what Android does to this process and to the workers that it starts, which inherit its cpuset.

    A program that refused to answer is not asked again: rights do not change while an agent runs.
    """

    def __init__(self, system: System, *, next_step: str = BRING_TERMUX_FORWARD) -> None:
        """Ask once whether this is Android; ``next_step`` is what a person does about a background cpuset."""
        self._system = system
        self._next_step = next_step
        self._refusals: dict[tuple[str, ...], CommandAnswer] = {}
        self._api_level = api_level(system)
        self._phantoms = _phantom_circumstance(system, self._api_level) if self._api_level is not None else None

    def read(self) -> list[Circumstance]:
        """Read now; empty on a device that is no Android."""
        if self._phantoms is None:
            return []
        name, why_not = cpuset(self._system)
        return [
            Circumstance(name="android_api_level", value=str(self._api_level)),
            Circumstance(name=_CPUSET, value=name, reason=why_not),
            _foreground(name, why_not),
            self._allowed_cores(),
            self._battery_saver(),
            self._phantoms,
            self._told("android_screen", ("dumpsys", "power"), _wakefulness),
            self._told("android_doze", ("dumpsys", "deviceidle", "get", "deep"), _doze),
        ]

    def objection(self, before: Sequence[Circumstance], after: Sequence[Circumstance]) -> str:
        """Object to a block that began or ended in a cpuset of the background."""
        for look in (before, after):
            known = {one.name: one.value for one in look}
            name = known.get(_CPUSET) or ""
            if _kind(name) in _BACKGROUND:
                cores = known.get(_CORES)
                limited = f" (cores {cores} only)" if cores else ""
                return f"the worker ran in Android's {name} cpuset{limited}: {self._next_step}"
        return ""

    def _allowed_cores(self) -> Circumstance:
        lent = lent_cores(self._system)
        if lent is None:
            return Circumstance(name=_CORES, value=None, reason="/proc/self/status does not tell the allowed cores")
        return Circumstance(name=_CORES, value=format_cores(lent))

    def _battery_saver(self) -> Circumstance:
        return self._told("android_battery_saver", ("settings", "get", "global", "low_power"), _switch)

    def _told(self, name: str, command: tuple[str, ...], read: Callable[[str], str | None]) -> Circumstance:
        answer = self._refusals.get(command) or ask(self._system, command)
        if answer.output is None:
            if not answer.is_passing:
                self._refusals[command] = answer
            return Circumstance(name=name, value=None, reason=answer.reason)
        value = read(answer.output)
        why_not = "" if value is not None else f"{' '.join(command)} said {answer.output[:80]!r}"
        return Circumstance(name=name, value=value, reason=why_not)


def _phantom_circumstance(system: System, level: int) -> Circumstance:
    killing = phantom_killing(system, level)
    name = "android_phantom_process_killing"
    if killing.enabled is None:
        return Circumstance(name=name, value=None, reason=f"{killing.reason}; {HOW_TO_STOP_PHANTOM_KILLING}")
    return Circumstance(name=name, value=f"{'on' if killing.enabled else 'off'} ({killing.detail})")


def _foreground(name: str | None, why_not: str) -> Circumstance:
    kind = _kind(name or "")
    value = "yes" if kind in _FOREGROUND else "no" if kind in _BACKGROUND else None
    reason = "" if value else why_not or f"cpuset {name} says neither"
    return Circumstance(name="android_foreground", value=value, reason=reason)


def _kind(name: str) -> str:
    """Return the outermost cpuset: vendors nest their own below Android's."""
    return name.strip("/").partition("/")[0]


def _switch(text: str) -> str | None:
    # A setting that was never touched reads "null".
    return {"0": "off", "null": "off", "1": "on"}.get(text)


def _wakefulness(text: str) -> str | None:
    match = re.search(r"\bmWakefulness=([A-Za-z]+)", text)
    return match.group(1).lower() if match else None


def _doze(text: str) -> str | None:
    # ACTIVE is the device, not the doze.
    if text == "ACTIVE":
        return "off"
    return text.lower() if re.fullmatch(r"[A-Z_]{2,30}", text) else None
