"""Current that was too high or voltage too low: alarms of power monitors and events of Jetson's throttling hardware.

Sources: Documentation/hwmon/ina3221.rst of Linux (critical: over its limit; max: the average over the warning limit);
NVIDIA Jetson Linux Developer Guide, "Electrical design points" (``soctherm_oc``: oc1 under-voltage, oc2 average and oc3
instantaneous over-current, each counted since boot).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import Chip, find_chips
from steelyard_agent.meters.sysfs import number_or_reason, text_or_empty
from steelyard_agent.surroundings.contract import Weighed

_ALARM = re.compile(r"curr([0-9]+)_(crit|max)_alarm")
_EVENTS = re.compile(r"oc[0-9]+_event_cnt")
_EVENT_KINDS = {"oc1_event_cnt": "under-voltage", "oc2_event_cnt": "over-current", "oc3_event_cnt": "over-current"}

CurrentMark = tuple["int | str", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentAlarm:
    """A file that tells of too much current or too little voltage: an alarm that stands or falls, or a count of events.

    ``name`` is for people, ``driver`` the chip's.
    """

    name: str
    driver: str
    file: str
    is_counter: bool


class OverCurrent:
    """Alarms and event counters of this device's power monitors; the mark is each value, or why it is not read."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._alarms = find_current_alarms(system)

    def look(self) -> CurrentMark:
        """Read every alarm and counter."""
        return tuple(number_or_reason(self._system, alarm.file) for alarm in self._alarms)

    def weigh(self, before: CurrentMark, after: CurrentMark, latency_ns: Sequence[int]) -> Weighed:
        """Return alarms that stand after the block and counters that rose; none of them says nothing about heat."""
        evidence, reasons = [], []
        for alarm, first, last in zip(self._alarms, before, after, strict=True):
            if isinstance(first, str) or isinstance(last, str):
                reasons.append(first if isinstance(first, str) else str(last))
            elif alarm.is_counter and last > first:
                evidence.append(f"{alarm.name} throttled the device: {last - first} more events during the block")
            elif not alarm.is_counter and last > 0:
                evidence.append(f"over-current alarm of {alarm.name}")
        return Weighed(evidence=tuple(evidence), not_looked_at=tuple(reasons))


def find_current_alarms(system: System) -> list[CurrentAlarm]:
    """Return the alarms and event counters of this device's power monitors; empty where it has none."""
    chips, _ = find_chips(system)
    return [alarm for chip in chips for alarm in _alarms(system, chip)]


def _alarms(system: System, chip: Chip) -> list[CurrentAlarm]:
    alarms = []
    for name in sorted(chip.files):
        if chip.driver == "ina3221" and (match := _ALARM.fullmatch(name)):
            label = text_or_empty(system, f"{chip.folder}/in{match.group(1)}_label")
            alarms.append(_alarm(chip, name, f"{label or chip.driver} ({name})", is_counter=False))
        elif chip.driver == "soctherm_oc" and _EVENTS.fullmatch(name):
            kind = _EVENT_KINDS.get(name, "over-current")
            alarms.append(_alarm(chip, name, f"{kind} ({name} of {chip.driver})", is_counter=True))
    return alarms


def _alarm(chip: Chip, file_name: str, name: str, *, is_counter: bool) -> CurrentAlarm:
    return CurrentAlarm(name=name, driver=chip.driver, file=f"{chip.folder}/{file_name}", is_counter=is_counter)
