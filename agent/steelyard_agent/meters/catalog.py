"""Every meter of the agent; a new kind is one file and one line here."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard_agent.meters.contract import Meter, System
from steelyard_agent.meters.energy_window import least_energy_window_ms
from steelyard_agent.meters.frequency import FrequencyMeter
from steelyard_agent.meters.power import PowerMeter
from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.readings import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedMeters:
    """What every meter said once, and how long an energy window must be for the sources of power and energy."""

    readings: tuple[Reading, ...]
    least_energy_window_ms: int | None


def all_meters(system: System) -> tuple[Meter, ...]:
    """Return one meter of each kind."""
    return (TemperatureMeter(system), FrequencyMeter(system), PowerMeter(system))


def probe_meters(system: System) -> ProbedMeters:
    """Probe every meter once and close it; never raises."""
    readings: list[Reading] = []
    meters = all_meters(system)
    for meter in meters:
        readings += meter.probe()
        meter.close()
    sources = [source for meter in meters if isinstance(meter, PowerMeter) for source in meter.sources]
    return ProbedMeters(readings=tuple(readings), least_energy_window_ms=least_energy_window_ms(sources))
