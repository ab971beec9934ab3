"""What must hold before a block begins, and one check a rule. Takes values and returns values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard_agent.cores import format_cores
from steelyard_agent.validity.conditions import Conditions
from steelyard_agent.validity.processor_load import other_load

# A device that has cooled as far as it will: its new rest is as good a start as its old one.
SETTLED_C_PER_MIN = 0.5
_SETTLED_AFTER_S = 60.0
# What only other people's work can change is waited for this long: a build or a backup lasts longer, a cron job does
# not. Heat goes by itself and has the whole time of the gate.
LONGEST_WAIT_FOR_OTHERS_S = 60.0
# Share of the last 10 s in which something waited for memory: then pages are being fetched back from the disk.
MOST_MEMORY_STALL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What a block waits for; None and "" are not looked at. Degrees C, shares from 0 to 1, load in cores."""

    most_temperature_rise_c: float | None = None
    most_temperature_c: float | None = None
    most_other_load: float | None = None
    least_available_bytes: int | None = None
    least_charge: float | None = None
    governor: str = ""
    longest_wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that does not hold: a word for machines, what is and what is wanted, and how long waiting makes sense."""

    reason: str
    sentence: str
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Where the temperature comes from: that at which the job began, and the looks of this wait (seconds, degrees)."""

    start_c: float | None = None
    looks: Sequence[tuple[float, float]] = ()

    def has_settled(self) -> bool:
        """Return whether it moved by less than half a degree a minute, over the last minute at least."""
        now_s, now_c = self.looks[-1]
        earlier = [(at_s, at_c) for at_s, at_c in self.looks if now_s - at_s >= _SETTLED_AFTER_S]
        if not earlier:
            return False
        then_s, then_c = earlier[-1]
        return abs(now_c - then_c) / ((now_s - then_s) / 60) < SETTLED_C_PER_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All rules at one look: those that do not hold, and what could not be looked at."""

    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...]


def check(
    rules: GateRules, before: Conditions | None, now: Conditions, *, heat: Heat, core_ids: Sequence[int] = ()
) -> Checked:
    """Hold the conditions against the rules; ``before`` is the look that the load is counted from.

    A rule that only a person gives (a temperature, a charge, a governor) does not hold where it cannot be read. Those
    that stand by default are then "not looked at".
    """
    answers = (
        _temperature(rules, now, heat),
        _load(rules, before, now),
        _memory(rules, now),
        _stall(rules, now),
        _charge(rules, now),
        _governor(rules, now, core_ids),
    )
    return Checked(
        findings=tuple(one for one in answers if isinstance(one, Finding)),
        not_looked_at=tuple(one for one in answers if isinstance(one, str)),
    )


_Answer = Finding | str | None


def _temperature(rules: GateRules, now: Conditions, heat: Heat) -> _Answer:
    highest_c, rise_c = rules.most_temperature_c, rules.most_temperature_rise_c
    if highest_c is None and rise_c is None:
        return None
    if isinstance(now.temperature_c, str):
        return _unread("temperature", now.temperature_c, is_asked=highest_c is not None)
    wanted = [] if highest_c is None else [highest_c]
    if rise_c is not None and heat.start_c is not None and not heat.has_settled():
        wanted.append(heat.start_c + rise_c)
    if not wanted or now.temperature_c <= min(wanted):
        return None
    sentence = f"cpu {now.temperature_c:.1f} C, wants {min(wanted):.1f} C"
    return Finding(reason="not_cooled", sentence=sentence, patience_s=rules.longest_wait_s)


def _load(rules: GateRules, before: Conditions | None, now: Conditions) -> _Answer:
    if rules.most_other_load is None or before is None:
        return None
    for processor in (before.processor, now.processor):
        if isinstance(processor, str):
            return _unread("load of others", processor)
    load = other_load(before.processor, now.processor)  # type: ignore[arg-type]
    if load <= rules.most_other_load:
        return None
    sentence = f"others keep {load:.2f} cores busy, wants {rules.most_other_load:.2f}"
    return Finding(reason="too_busy", sentence=sentence, patience_s=_for_others(rules))


def _memory(rules: GateRules, now: Conditions) -> _Answer:
    least = rules.least_available_bytes
    if least is None:
        return None
    if isinstance(now.available_bytes, str):
        return _unread("available memory", now.available_bytes)
    if now.available_bytes >= least:
        return None
    sentence = f"{now.available_bytes / 2**20:.0f} MiB of memory available, wants {least / 2**20:.0f} MiB"
    return Finding(reason="memory_short", sentence=sentence, patience_s=_for_others(rules))


def _stall(rules: GateRules, now: Conditions) -> _Answer:
    if rules.least_available_bytes is None:
        return None
    if isinstance(now.memory_stall, str):
        return _unread("memory pressure", now.memory_stall)
    if now.memory_stall <= MOST_MEMORY_STALL:
        return None
    sentence = (
        f"something waited for memory in {100 * now.memory_stall:.0f} % of the last 10 s, wants "
        f"{100 * MOST_MEMORY_STALL:.0f} %"
    )
    return Finding(reason="memory_pressure", sentence=sentence, patience_s=_for_others(rules))


def _charge(rules: GateRules, now: Conditions) -> _Answer:
    if rules.least_charge is None:
        return None
    if now.battery is None:
        return "charge: the device has no battery"
    if isinstance(now.battery, str):
        return _unread("charge", now.battery, is_asked=True)
    if now.battery.charge >= rules.least_charge:
        return None
    sentence = f"battery at {100 * now.battery.charge:.0f} %, wants {100 * rules.least_charge:.0f} %"
    patience_s = rules.longest_wait_s if now.battery.is_charging else 0.0
    return Finding(reason="charge_low", sentence=sentence, patience_s=patience_s)


def _governor(rules: GateRules, now: Conditions, core_ids: Sequence[int]) -> _Answer:
    if not rules.governor:
        return None
    if isinstance(now.governors, str):
        return _unread("governor", now.governors, is_asked=True)
    for governor, cores in now.governors.items():
        measured = [core for core in cores if not core_ids or core in core_ids]
        if governor != rules.governor and measured:
            sentence = f"governor {governor} on cores {format_cores(measured)}, wants {rules.governor}"
            return Finding(reason="other_governor", sentence=sentence)
    return None


def _for_others(rules: GateRules) -> float:
    return min(rules.longest_wait_s, LONGEST_WAIT_FOR_OTHERS_S)


def _unread(what: str, reason: str, *, is_asked: bool = False) -> _Answer:
    """Return that something cannot be read: a rule of a person's own must not pass by that."""
    if is_asked:
        return Finding(reason="cannot_be_read", sentence=f"{what} cannot be read: {reason}")
    return f"{what}: {reason}"
