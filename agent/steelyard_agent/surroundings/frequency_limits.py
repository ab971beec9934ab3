"""Limits of processor and devfreq clocks that fell during a block: heat, a power budget or a user lowered them.

Sources: Documentation/admin-guide/pm/cpufreq.rst (``scaling_max_freq`` is the limit in force, kHz) and
Documentation/ABI/testing/sysfs-class-devfreq (``max_freq``, Hz) of Linux.
"""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import find_policies, policy_file
from steelyard_agent.meters.devfreq import DEVFREQ_FOLDER, find_devfreq
from steelyard_agent.meters.sysfs import SourceError, read_number
from steelyard_agent.surroundings.contract import Weighed

LimitsMark = tuple["int | None", ...]


class FrequencyLimits:
    """The limit of every clock; the mark is each one's, None where it cannot be read: no limit is also no evidence."""

    def __init__(self, system: System) -> None:
        self._system = system
        policies, _ = find_policies(system)
        limits = [(policy, policy_file(policy, "scaling_max_freq"), 1e3) for policy in policies]
        limits += [(name, f"{DEVFREQ_FOLDER}/{name}/max_freq", 1e6) for name in find_devfreq(system)]
        self._limits = limits

    def look(self) -> LimitsMark:
        """Read every limit."""
        return tuple(_read(self._system, file) for _, file, _ in self._limits)

    def weigh(self, before: LimitsMark, after: LimitsMark, latency_ns: Sequence[int]) -> Weighed:
        """Return the limits that fell; one that stands says nothing, whoever set it."""
        evidence = [
            f"the limit of {name} fell from {first / per_mhz:g} to {last / per_mhz:g} MHz"
            for (name, _, per_mhz), first, last in zip(self._limits, before, after, strict=True)
            if first is not None and last is not None and last < first
        ]
        return Weighed(evidence=tuple(evidence))


def _read(system: System, file: str) -> int | None:
    try:
        return read_number(system, file)
    except SourceError:
        return None
