"""The battery of a phone: from sysfs, or where Android denies that, from Termux:API. Valid only while it discharges."""

from __future__ import annotations

from steelyard_agent.meters.access.termux_battery import COMMAND
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import FoundSources, PowerSource, missing_reading, why_silent
from steelyard_agent.meters.sysfs import SourceError, list_names
from steelyard_agent.readings import Kind, Scope

SUPPLIES_FOLDER = "/sys/class/power_supply"
# What Android calls the battery that runs the device. Others are chargers, ports and the batteries of a mouse.
_FOLDER = f"{SUPPLIES_FOLDER}/battery"
_CAUTION = "the whole device with its screen; vendors differ in the current's unit and how often it is renewed"

_SYSFS = PowerSource(
    name="battery_power",
    kind=Kind.SAMPLED,
    scope=Scope.BATTERY,
    access="android-battery",
    addresses=(_FOLDER,),
    # Microamperes times microvolts.
    scale=1e-12,
    detail="current_now x voltage_now",
    caution=_CAUTION,
    # Fuel gauges renew a few times a second at most, and asking one can take milliseconds.
    least_period_s=0.25,
)
_TERMUX = PowerSource(
    name="battery_power",
    kind=Kind.SAMPLED,
    scope=Scope.BATTERY,
    access="termux-battery",
    addresses=COMMAND,
    place=COMMAND[0],
    scale=1e-12,
    detail="current x voltage, from Termux:API",
    caution=f"{_CAUTION}; Termux:API multiplies currents below 1000 by 1000",
    # Each read starts an app's broadcast receiver: most of a second on slow phones.
    least_period_s=2.0,
)


def find_battery_source(system: System) -> FoundSources:
    """Return the battery while it discharges, or why it tells nothing; nothing where there is none. Never raises."""
    supplies, reason = list_names(system, SUPPLIES_FOLDER)
    seen = f"supplies found: {', '.join(supplies)}" if supplies else reason or "no supplies"
    looked_at = (f"{SUPPLIES_FOLDER} ({seen})",)
    sysfs = why_silent(system, _SYSFS)
    if sysfs is None:
        return FoundSources(sources=(_SYSFS,), looked_at=looked_at)
    # A charger is the answer, whoever tells it.
    termux = None if sysfs.reason == "charging" else why_silent(system, _TERMUX)
    if termux is None and sysfs.reason != "charging":
        return FoundSources(sources=(_TERMUX,), looked_at=looked_at)
    reason = _reason(sysfs, termux)
    missing = (missing_reading(_SYSFS, reason),) if reason else ()
    return FoundSources(missing=missing, looked_at=looked_at)


def _reason(sysfs: SourceError, termux: SourceError | None) -> str:
    """Return why the battery tells nothing; "" where there is no battery and no Termux:API."""
    if termux is None:
        return str(sysfs)
    not_there = termux.reason == "no_answer"
    if sysfs.reason == "missing":
        return "" if not_there else str(termux)
    if sysfs.reason == "permission_denied":
        denied = f"permission denied on {_FOLDER}: Android keeps it from apps"
        install = "; install the app Termux:API and run: pkg install termux-api" if not_there else ""
        return f"{denied}; {termux}{install}"
    return str(sysfs) if not_there else f"{sysfs}; {termux}"
