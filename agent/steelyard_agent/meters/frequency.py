"""Processor frequencies from cpufreq.

Source: Documentation/admin-guide/pm/cpufreq.rst of Linux; values are kHz. ``scaling_cur_freq`` is what the driver last
asked for on some boards (a Raspberry Pi among them), not what the clock does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import fmean

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import NumberFile, SourceError, list_names, read_number, text_or_empty
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable

CPUFREQ_FOLDER = "/sys/devices/system/cpu/cpufreq"

# No processor that runs Linux clocks above this; what is above was misread.
HIGHEST_KHZ = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """Policies that share a maximum: one reading, or a server with a policy for each core would fill a message."""

    policies: tuple[str, ...]
    max_khz: int | None
    max_reason: str


class FrequencyMeter:
    """Reads ``cpu_frequency`` (mean over the policies of a cluster) and ``cpu_max_frequency`` a cluster."""

    name = "frequency"

    def __init__(self, system: System) -> None:
        self._system = system
        self._clusters: list[tuple[_Cluster, list[NumberFile]]] = []

    def probe(self) -> list[Reading]:
        """Look for cpufreq policies and read each once; never raises, at least one reading."""
        self.close()
        policies, reason = _find_policies(self._system)
        for cluster in _clusters(self._system, policies):
            files = [NumberFile(self._system, _current(policy)) for policy in cluster.policies]
            self._clusters.append((cluster, files))
        if not self._clusters:
            looked_at = f"no cpufreq policy; looked at {CPUFREQ_FOLDER} ({reason or 'empty'})"
            return [_missing("cpu_frequency", looked_at, CPUFREQ_FOLDER)]
        return self.read() + [_read_max(cluster) for cluster, _ in self._clusters]

    def read(self) -> list[Reading]:
        """Read the current frequency of each cluster of the last probe."""
        return [_read_current(cluster, files) for cluster, files in self._clusters]

    def close(self) -> None:
        """Give the descriptors back."""
        for _, files in self._clusters:
            for file in files:
                file.close()
        self._clusters = []


def read_governors(system: System) -> tuple[str, ...]:
    """Return the distinct cpufreq governors in use, sorted: ("ondemand",); empty where there is no cpufreq."""
    policies, _ = _find_policies(system)
    governors = {text_or_empty(system, f"{CPUFREQ_FOLDER}/{policy}/scaling_governor") for policy in policies}
    return tuple(sorted(governors - {""}))


def _find_policies(system: System) -> tuple[list[str], str]:
    names, reason = list_names(system, CPUFREQ_FOLDER)
    return [name for name in names if re.fullmatch(r"policy[0-9]+", name)], reason


def _clusters(system: System, policies: list[str]) -> list[_Cluster]:
    groups: dict[tuple[int | None, str], list[str]] = {}
    for policy in policies:
        groups.setdefault(_max_khz(system, policy), []).append(policy)
    return [
        _Cluster(policies=tuple(members), max_khz=max_khz, max_reason=reason)
        for (max_khz, reason), members in groups.items()
    ]


def _max_khz(system: System, policy: str) -> tuple[int | None, str]:
    file = f"{CPUFREQ_FOLDER}/{policy}/cpuinfo_max_freq"
    try:
        return _checked_khz(read_number(system, file), file), ""
    except SourceError as error:
        return None, str(error)


def _checked_khz(khz: int, file: str) -> int:
    if not 0 < khz <= HIGHEST_KHZ:
        raise SourceError("absurd", f"{file} says {khz} kHz, which no processor runs at")
    return khz


def _current(policy: str) -> str:
    return f"{CPUFREQ_FOLDER}/{policy}/scaling_cur_freq"


def _read_current(cluster: _Cluster, files: list[NumberFile]) -> Reading:
    source = _source(cluster, "scaling_cur_freq", "mean of")
    answers = [_khz_or_reason(file, _current(policy)) for policy, file in zip(cluster.policies, files, strict=True)]
    values_khz = [answer for answer in answers if not isinstance(answer, str)]
    if not values_khz:
        return _missing("cpu_frequency", str(answers[0]), source)
    return _measured("cpu_frequency", fmean(values_khz), source)


def _khz_or_reason(file: NumberFile, absolute: str) -> int | str:
    try:
        return _checked_khz(file.read(), absolute)
    except SourceError as error:
        return str(error)


def _read_max(cluster: _Cluster) -> Reading:
    source = _source(cluster, "cpuinfo_max_freq", "the same in")
    if cluster.max_khz is None:
        return _missing("cpu_max_frequency", cluster.max_reason, source)
    return _measured("cpu_max_frequency", float(cluster.max_khz), source)


def _source(cluster: _Cluster, attribute: str, relation: str) -> str:
    first = f"{CPUFREQ_FOLDER}/{cluster.policies[0]}/{attribute}"
    count = len(cluster.policies)
    return first if count == 1 else f"{first} ({relation} {count} policies)"


def _measured(name: str, khz: float, source: str) -> Reading:
    return Reading(
        name=name,
        value=khz * 1000,
        status=Status.MEASURED,
        source=source,
        scope=Scope.SOC,
        unit="Hz",
        kind=Kind.SAMPLED,
        resolution=1000.0,
    )


def _missing(name: str, reason: str, source: str) -> Reading:
    return unavailable(name, reason=reason, source=source, scope=Scope.SOC, unit="Hz", kind=Kind.SAMPLED)
