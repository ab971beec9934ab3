"""The policies of cpufreq: a policy is a clock and the cores that run on it.

Source: Documentation/admin-guide/pm/cpufreq.rst of Linux; frequencies are kHz.
"""

from __future__ import annotations

import re

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, list_names, text_or_empty

CPUFREQ_FOLDER = "/sys/devices/system/cpu/cpufreq"

# No processor that runs Linux clocks above this; what is above was misread.
HIGHEST_KHZ = 20_000_000


def find_policies(system: System) -> tuple[list[str], str]:
    """Return the names of the policies, and why the folder could not be read ("" when it could)."""
    names, reason = list_names(system, CPUFREQ_FOLDER)
    return [name for name in names if re.fullmatch(r"policy[0-9]+", name)], reason


def policy_file(policy: str, attribute: str) -> str:
    """Return the path of an attribute of a policy."""
    return f"{CPUFREQ_FOLDER}/{policy}/{attribute}"


def policy_text(system: System, policy: str, attribute: str) -> str:
    """Return an attribute's text, "" when it cannot be read."""
    return text_or_empty(system, policy_file(policy, attribute))


def keeps_times(system: System, policy: str) -> bool:
    """Return whether the kernel keeps the time that a policy's clock spent at each frequency."""
    names, _ = list_names(system, policy_file(policy, "stats"))
    return "time_in_state" in names


def checked_khz(khz: int, file: str) -> int:
    """Return the frequency that ``file`` said.

    Raises:
        SourceError: No processor runs at it.
    """
    if not 0 < khz <= HIGHEST_KHZ:
        raise SourceError("absurd", f"{file} says {khz} kHz, which no processor runs at")
    return khz


def read_governors(system: System) -> tuple[str, ...]:
    """Return the distinct cpufreq governors in use, sorted: ("ondemand",); empty where there is no cpufreq."""
    policies, _ = find_policies(system)
    governors = {policy_text(system, policy, "scaling_governor") for policy in policies}
    return tuple(sorted(governors - {""}))
