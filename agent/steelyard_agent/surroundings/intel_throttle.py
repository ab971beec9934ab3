"""Counters of Intel processors that slowed themselves down, for heat or for the power limit.

Source: drivers/thermal/intel/therm_throt.c of Linux: a count rises when an episode begins. One that lasts from before
the first look to after the second is not seen. Heat is always counted; reaching the power limit, which slows a cool
processor down, only by a kernel that was started with ``int_pln_enable``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import list_names, number_or_reason
from steelyard_agent.surroundings.contract import Weighed

_CPU_FOLDER = "/sys/devices/system/cpu"
_CAUSES = {
    "core_throttle_count": "heat",
    "package_throttle_count": "heat of the package",
    "core_power_limit_count": "the power limit",
    "package_power_limit_count": "the power limit of the package",
}
_POWER_COUNTS = frozenset({"core_power_limit_count", "package_power_limit_count"})
_POWER_NOT_COUNTED = (
    "reaching the power limit is not counted here; a kernel that is started with int_pln_enable counts it"
)

CountsMark = tuple["int | str", ...]


class IntelThrottle:
    """The counters of every core; the mark is each count, or why it is not read."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._files = find_counters(system)
        self._counts_power = counts_power_limit(self._files)

    def look(self) -> CountsMark:
        """Read every counter."""
        return tuple(number_or_reason(self._system, file) for file in self._files)

    def weigh(self, before: CountsMark, after: CountsMark, latency_ns: Sequence[int]) -> Weighed:
        """Return the causes whose counts rose; counts of heat and power that all stood still rule throttling out."""
        rises: dict[str, int] = {}
        reasons = []
        for file, first, last in zip(self._files, before, after, strict=True):
            if isinstance(first, str) or isinstance(last, str):
                reasons.append(first if isinstance(first, str) else str(last))
            elif last > first:
                # Cores of a package count the same episodes: the largest rise, not their sum.
                cause = _CAUSES[file.rpartition("/")[2]]
                rises[cause] = max(rises.get(cause, 0), last - first)
        evidence = tuple(
            f"the processor slowed itself down for {cause}, {_times(rise)}" for cause, rise in rises.items()
        )
        if self._files and not self._counts_power and not evidence:
            reasons.append(_POWER_NOT_COUNTED)
        return Weighed(
            evidence=evidence,
            not_looked_at=tuple(reasons),
            rules_out=not evidence and not reasons and bool(self._files),
        )


def find_counters(system: System) -> list[str]:
    """Return the files of the counters of every core; empty on other processors."""
    names, _ = list_names(system, _CPU_FOLDER)
    folders = [f"{_CPU_FOLDER}/{name}/thermal_throttle" for name in names if re.fullmatch(r"cpu[0-9]+", name)]
    return [f"{folder}/{name}" for folder in folders for name in list_names(system, folder)[0] if name in _CAUSES]


def counts_power_limit(files: Sequence[str]) -> bool:
    """Return whether one of these counters is of the power limit."""
    return any(file.rpartition("/")[2] in _POWER_COUNTS for file in files)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
