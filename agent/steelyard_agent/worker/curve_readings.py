"""Temperature and frequency between the points of a curve, from the files that the meters read.

A worker reads them itself: two or three small files of sysfs, some tens of microseconds, while nothing is timed. The
supervisor would wake beside the next point instead.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from statistics import fmean

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import CPUFREQ_FOLDER, checked_khz, find_policies, policy_file, policy_text
from steelyard_agent.meters.sysfs import NumberFile, SourceError
from steelyard_agent.meters.temperature import THERMAL_FOLDER, checked_cel, processor_temperature_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveReader:
    """Reads what ``find_curve_reader`` found; not thread-safe. ``notes`` say what there is nothing of."""

    temperature: tuple[str, NumberFile] | None
    frequencies: tuple[tuple[str, NumberFile], ...]
    notes: tuple[str, ...]

    def temperature_c(self) -> float | None:
        """Return the processor's temperature now, None when the sensor does not say a credible one."""
        if self.temperature is None:
            return None
        path, file = self.temperature
        try:
            return checked_cel(file.read() / 1000, path)
        except SourceError:
            return None

    def frequency_hz(self) -> int | None:
        """Return the mean frequency of the cores in question now, None when no file says one."""
        values_khz = [khz for path, file in self.frequencies if (khz := _khz(path, file)) is not None]
        return round(fmean(values_khz) * 1000) if values_khz else None


def find_curve_reader(core_ids: Collection[int] = (), system: System | None = None) -> CurveReader:
    """Return a reader of the processor's temperature, and of the clocks of ``core_ids`` (none: of every core)."""
    system = system or System(clock_ns=time.perf_counter_ns)
    notes = []
    path = processor_temperature_file(system)
    if not path:
        notes.append(f"no temperature in the curve: no processor's sensor below {THERMAL_FOLDER} or hwmon")
    policies = [policy for policy in find_policies(system)[0] if _clocks(system, policy, core_ids)]
    if not policies:
        notes.append(f"no frequency in the curve: no cpufreq policy of these cores below {CPUFREQ_FOLDER}")
    files = [policy_file(policy, "scaling_cur_freq") for policy in policies]
    return CurveReader(
        temperature=(path, NumberFile(system, path)) if path else None,
        frequencies=tuple((file, NumberFile(system, file)) for file in files),
        notes=tuple(notes),
    )


def _khz(path: str, file: NumberFile) -> int | None:
    try:
        return checked_khz(file.read(), path)
    except SourceError:
        return None


def _clocks(system: System, policy: str, core_ids: Collection[int]) -> bool:
    """Say whether a policy clocks one of the cores; one that does not name its cores may."""
    named = policy_text(system, policy, "related_cpus").split()
    return not (core_ids and named) or not {str(core) for core in core_ids}.isdisjoint(named)
