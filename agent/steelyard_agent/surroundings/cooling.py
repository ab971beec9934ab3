"""Cooling devices that slow a processor or a GPU down: in which state they are.

Source: Documentation/driver-api/thermal/sysfs-api.rst of Linux; state 0 is no cooling, the highest is all there is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import list_names, number_or_reason, text_or_empty
from steelyard_agent.meters.temperature import THERMAL_FOLDER
from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.cooling_kinds import CoolingKind, cooling_kind

CoolingMark = tuple["int | str", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    name: str
    kind: CoolingKind
    max_state: str
    file: str


class CoolingDevices:
    """The devices that slow something down; the mark is each one's state, or why it cannot be read."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._devices = _find_devices(system)

    def look(self) -> CoolingMark:
        """Read every state."""
        return tuple(number_or_reason(self._system, device.file) for device in self._devices)

    def weigh(self, before: CoolingMark, after: CoolingMark, latency_ns: Sequence[int]) -> Weighed:
        """Return the devices that were at work; the kernel's own for this processor, all at rest, rule it out."""
        told = [
            _weigh_one(device, first, last) for device, first, last in zip(self._devices, before, after, strict=True)
        ]
        evidence = tuple(sentence for one in told for sentence in one.evidence)
        reasons = tuple(sentence for one in told for sentence in one.not_looked_at)
        return Weighed(
            evidence=evidence,
            not_looked_at=reasons,
            rules_out=not evidence and not reasons and any(one.rules_out for one in told),
        )


def _weigh_one(device: _Device, before: int | str, after: int | str) -> Weighed:
    if isinstance(before, str) or isinstance(after, str):
        return Weighed(not_looked_at=(next(one for one in (before, after) if isinstance(one, str)),))
    # intel_powerclamp says -1 at rest.
    first, last = max(before, 0), max(after, 0)
    if last > first:
        return Weighed(evidence=(f"cooling device {device.name} rose from state {first} to {last}{device.max_state}",))
    if first == 0:
        return Weighed(rules_out=device.kind is CoolingKind.PROCESSOR)
    if device.kind is CoolingKind.ACCELERATOR and first == last:
        # Seen on a Jetson at rest: its GPU's device stood at 18 of 169, which was the power mode's limit, not heat.
        reason = f"cooling device {device.name} stood at state {first}{device.max_state}; a power mode does that too"
        return Weighed(not_looked_at=(reason,))
    return Weighed(evidence=(f"cooling device {device.name} was at state {first}{device.max_state} at the start",))


def _find_devices(system: System) -> list[_Device]:
    names, _ = list_names(system, THERMAL_FOLDER)
    devices = []
    for name in names:
        if re.fullmatch(r"cooling_device[0-9]+", name):
            folder = f"{THERMAL_FOLDER}/{name}"
            type_text = text_or_empty(system, f"{folder}/type")
            kind = cooling_kind(type_text)
            if kind is not None:
                max_state = text_or_empty(system, f"{folder}/max_state")
                shown = f" of {max_state}" if max_state.isdigit() else ""
                devices.append(_Device(name=type_text, kind=kind, max_state=shown, file=f"{folder}/cur_state"))
    return devices
