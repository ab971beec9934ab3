"""Every meter of the agent; a new kind is one file and one line here."""

from __future__ import annotations

from steelyard_agent.meters.contract import Meter, System
from steelyard_agent.meters.frequency import FrequencyMeter
from steelyard_agent.meters.power import PowerMeter
from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.readings import Reading


def all_meters(system: System) -> tuple[Meter, ...]:
    """Return one meter of each kind."""
    return (TemperatureMeter(system), FrequencyMeter(system), PowerMeter(system))


def probe_all(system: System) -> list[Reading]:
    """Probe every meter once and close it; never raises."""
    readings = []
    for meter in all_meters(system):
        readings += meter.probe()
        meter.close()
    return readings
