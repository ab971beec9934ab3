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
from steelyard_agent.meters.sysfs import NumberFile, SourceError, text_or_empty
from steelyard_agent.surroundings.contract import Weighed

_ALARM = re.compile(r"curr([0-9]+)_(crit|max)_alarm")
_EVENTS = re.compile(r"oc[0-9]+_event_cnt")
_EVENT_KINDS = {"oc1_event_cnt": "under-voltage", "oc2_event_cnt": "over-current", "oc3_event_cnt": "over-current"}

CurrentMark = tuple["int | str", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    name: str
    file: str
    is_counter: bool


class OverCurrent:
    """Alarms and event counters of this device's power monitors; the mark is each value, or why it is not read."""

    def __init__(self, system: System) -> None:
        chips, _ = find_chips(system)
        self._lines = [line for chip in chips for line in _lines(system, chip)]
        self._files = [NumberFile(system, line.file) for line in self._lines]

    def look(self) -> CurrentMark:
        """Read every alarm and counter."""
        return tuple(_read(file) for file in self._files)

    def weigh(self, before: CurrentMark, after: CurrentMark, latency_ns: Sequence[int]) -> Weighed:
        """Return alarms that stand after the block and counters that rose; none of them says nothing about heat."""
        evidence, reasons = [], []
        for line, first, last in zip(self._lines, before, after, strict=True):
            if isinstance(first, str) or isinstance(last, str):
                reasons.append(first if isinstance(first, str) else str(last))
            elif line.is_counter and last > first:
                evidence.append(f"{line.name} throttled the device: {last - first} more events during the block")
            elif not line.is_counter and last > 0:
                evidence.append(f"over-current alarm of {line.name}")
        return Weighed(evidence=tuple(evidence), not_looked_at=tuple(reasons))


def _lines(system: System, chip: Chip) -> list[_Line]:
    lines = []
    for name in sorted(chip.files):
        file = f"{chip.folder}/{name}"
        if chip.driver == "ina3221" and (match := _ALARM.fullmatch(name)):
            label = text_or_empty(system, f"{chip.folder}/in{match.group(1)}_label")
            lines.append(_Line(name=f"{label or chip.driver} ({name})", file=file, is_counter=False))
        elif chip.driver == "soctherm_oc" and _EVENTS.fullmatch(name):
            kind = _EVENT_KINDS.get(name, "over-current")
            lines.append(_Line(name=f"{kind} ({name} of {chip.driver})", file=file, is_counter=True))
    return lines


def _read(file: NumberFile) -> int | str:
    try:
        return file.read()
    except SourceError as error:
        return str(error)
