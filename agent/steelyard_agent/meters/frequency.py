"""Frequencies: of the processor from cpufreq, of GPUs and other parts from devfreq, the real clock of a Raspberry Pi.

Source: Documentation/admin-guide/pm/cpufreq.rst of Linux; values are kHz. ``scaling_cur_freq`` is what the driver last
asked for on some boards (a Raspberry Pi among them), not what the clock does; ``cpu_clock`` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import CPUFREQ_FOLDER, checked_khz, find_policies, keeps_times, policy_file
from steelyard_agent.meters.devfreq import DevfreqClocks
from steelyard_agent.meters.sysfs import NumberFile, SourceError, read_number
from steelyard_agent.meters.vcgencmd import PiClock
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """Policies that share a maximum: one reading, or a server with a policy for each core would fill a message."""

    policies: tuple[str, ...]
    max_khz: int | None
    max_reason: str
    keeps_times: bool


class FrequencyMeter:
    """Reads ``cpu_frequency`` (mean over the policies of a cluster) and ``cpu_max_frequency`` a cluster.

    Where the device has them also ``gpu_frequency`` and the like (see ``devfreq``), and ``cpu_clock`` of a Raspberry
    Pi, which costs a subprocess. The source says where the kernel keeps the time at each frequency.
    """

    name = "frequency"

    def __init__(self, system: System) -> None:
        self._system = system
        self._clusters: list[tuple[_Cluster, list[NumberFile]]] = []
        self._devfreq: DevfreqClocks | None = None
        self._pi_clock: PiClock | None = None

    def probe(self) -> list[Reading]:
        """Look for cpufreq policies and read each once; never raises, at least one reading."""
        self.close()
        policies, reason = find_policies(self._system)
        for cluster in _clusters(self._system, policies):
            files = [NumberFile(self._system, _current(policy)) for policy in cluster.policies]
            self._clusters.append((cluster, files))
        self._devfreq, self._pi_clock = DevfreqClocks(self._system), PiClock(self._system)
        maxima = [_read_max(cluster) for cluster, _ in self._clusters]
        if not self._clusters:
            looked_at = f"no cpufreq policy; looked at {CPUFREQ_FOLDER} ({reason or 'empty'})"
            maxima = [_missing("cpu_frequency", looked_at, CPUFREQ_FOLDER)]
        return self.read() + maxima

    def read(self) -> list[Reading]:
        """Read the current frequencies that the last probe found."""
        readings = [_read_current(cluster, files) for cluster, files in self._clusters]
        for clocks in (self._pi_clock, self._devfreq):
            readings += clocks.read() if clocks is not None else []
        return readings

    def close(self) -> None:
        """Give the descriptors back."""
        for _, files in self._clusters:
            for file in files:
                file.close()
        if self._devfreq is not None:
            self._devfreq.close()
        self._clusters, self._devfreq, self._pi_clock = [], None, None


def _clusters(system: System, policies: list[str]) -> list[_Cluster]:
    groups: dict[tuple[int | None, str], list[str]] = {}
    for policy in policies:
        groups.setdefault(_max_khz(system, policy), []).append(policy)
    return [
        _Cluster(
            policies=tuple(members), max_khz=max_khz, max_reason=reason, keeps_times=keeps_times(system, members[0])
        )
        for (max_khz, reason), members in groups.items()
    ]


def _max_khz(system: System, policy: str) -> tuple[int | None, str]:
    file = policy_file(policy, "cpuinfo_max_freq")
    try:
        return checked_khz(read_number(system, file), file), ""
    except SourceError as error:
        return None, str(error)


def _current(policy: str) -> str:
    return policy_file(policy, "scaling_cur_freq")


def _read_current(cluster: _Cluster, files: list[NumberFile]) -> Reading:
    source = _source(cluster, "scaling_cur_freq", "mean of")
    answers = [_khz_or_reason(file, _current(policy)) for policy, file in zip(cluster.policies, files, strict=True)]
    values_khz = [answer for answer in answers if not isinstance(answer, str)]
    if not values_khz:
        return _missing("cpu_frequency", str(answers[0]), source)
    return _measured("cpu_frequency", fmean(values_khz), source)


def _khz_or_reason(file: NumberFile, absolute: str) -> int | str:
    try:
        return checked_khz(file.read(), absolute)
    except SourceError as error:
        return str(error)


def _read_max(cluster: _Cluster) -> Reading:
    source = _source(cluster, "cpuinfo_max_freq", "the same in")
    if cluster.max_khz is None:
        return _missing("cpu_max_frequency", cluster.max_reason, source)
    return _measured("cpu_max_frequency", float(cluster.max_khz), source)


def _source(cluster: _Cluster, attribute: str, relation: str) -> str:
    first = policy_file(cluster.policies[0], attribute)
    count = len(cluster.policies)
    details = [f"{relation} {count} policies"] if count > 1 else []
    details += ["time_in_state is kept"] if cluster.keeps_times and attribute == "scaling_cur_freq" else []
    return f"{first} ({'; '.join(details)})" if details else first


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
