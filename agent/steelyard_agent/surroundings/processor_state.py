"""Circumstances of the processor that its figures must be read with: governor, frequency limit, boost, kernel.

Sources: Documentation/admin-guide/pm/{cpufreq,intel_pstate}.rst of Linux.
"""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import CPUFREQ_FOLDER, find_policies, policy_text
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.surroundings.contract import Circumstance

_NO_TURBO = "/sys/devices/system/cpu/intel_pstate/no_turbo"
_BOOST = f"{CPUFREQ_FOLDER}/boost"
_KERNEL = "/proc/sys/kernel/osrelease"
_SWITCH = {"0": "off", "1": "on"}


class ProcessorState:
    """Reads ``governor``, ``frequency_limit`` (only one below the maximum), ``boost``, ``kernel``."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._policies, _ = find_policies(system)

    def read(self) -> list[Circumstance]:
        """Read now; without cpufreq only the kernel is known."""
        governors = {one: policy_text(self._system, one, "scaling_governor") for one in self._policies}
        told = {
            "governor": _by_value({policy: value for policy, value in governors.items() if value}),
            "frequency_limit": _by_value(self._limits()),
            "boost": self._boost(),
            "kernel": text_or_empty(self._system, _KERNEL),
        }
        return [Circumstance(name=name, value=value) for name, value in told.items() if value]

    def objection(self, before: Sequence[Circumstance], after: Sequence[Circumstance]) -> str:
        """Return "": none of these makes a figure worthless."""
        return ""

    def _limits(self) -> dict[str, str]:
        limits = {}
        for policy in self._policies:
            limit = policy_text(self._system, policy, "scaling_max_freq")
            maximum = policy_text(self._system, policy, "cpuinfo_max_freq")
            if limit.isdigit() and maximum.isdigit() and int(limit) < int(maximum):
                limits[policy] = f"{int(limit) / 1000:g} of {int(maximum) / 1000:g} MHz"
        return limits

    def _boost(self) -> str:
        no_turbo = text_or_empty(self._system, _NO_TURBO)
        if no_turbo in _SWITCH:
            return "off" if no_turbo == "1" else "on"
        return _SWITCH.get(text_or_empty(self._system, _BOOST), "")


def _by_value(by_policy: dict[str, str]) -> str:
    """Return "ondemand", or "performance (policy4), schedutil (policy0)" where clocks differ."""
    by_value: dict[str, list[str]] = {}
    for policy, value in by_policy.items():
        by_value.setdefault(value, []).append(policy)
    if len(by_value) < 2:
        return next(iter(by_value), "")
    return ", ".join(f"{value} ({' '.join(policies)})" for value, policies in sorted(by_value.items()))
