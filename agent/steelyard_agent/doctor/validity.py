"""What a block of this device can wait for, and what shows afterwards that others disturbed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from steelyard_agent.cores import format_cores
from steelyard_agent.doctor.diagnosis import ValiditySign
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, read_text
from steelyard_agent.validity.conditions import Battery, Conditions, DeviceConditions

_SCHEDSTAT = "/proc/self/schedstat"
_Value = TypeVar("_Value")
_EMULATED = "the processor is emulated: blocks wait for nothing, and no verdict is given on them"


def validity_signs(system: System, emulated_by: str = "") -> tuple[ValiditySign, ...]:
    """Return what the gate and the verdict can look at here, with the reason where they cannot; never raises."""
    if emulated_by:
        return (ValiditySign(name="nothing", can_tell=False, detail=_EMULATED),)
    now = DeviceConditions(system).look()
    return (*_before(now), _waiting(system), _steal(system))


def _before(now: Conditions) -> Iterator[ValiditySign]:
    yield _sign("temperature", now.temperature_c, lambda celsius: f"the processor's, {celsius:.1f} C now")
    yield _sign("other load", now.processor, lambda _: "/proc/stat less what is ours")
    yield _sign("memory", now.available_bytes, lambda count: f"MemAvailable, {count / 2**20:.0f} MiB now")
    yield _sign("memory wait", now.memory_stall, lambda share: f"/proc/pressure/memory, {100 * share:.0f} % now")
    yield _sign("battery", "no battery" if now.battery is None else now.battery, _charge)
    yield _sign(
        "governor",
        now.governors,
        lambda found: ", ".join(f"{name} on cores {format_cores(cores)}" for name, cores in found.items()),
    )


def _waiting(system: System) -> ValiditySign:
    """Say whether the kernel keeps the time that a thread was ready and did not run."""
    try:
        told = read_text(system, _SCHEDSTAT)
    except SourceError as error:
        return ValiditySign(name="run delay", can_tell=False, detail=f"{error}: others are told by their load alone")
    if told.startswith("0 0"):
        return ValiditySign(name="run delay", can_tell=False, detail=f"{_SCHEDSTAT} counts nothing on this kernel")
    return ValiditySign(name="run delay", can_tell=True, detail="schedstat: time that a worker was ready and waited")


def _steal(system: System) -> ValiditySign:
    try:
        read_text(system, "/proc/stat")
    except SourceError as error:
        return ValiditySign(name="steal", can_tell=False, detail=str(error))
    return ValiditySign(name="steal", can_tell=True, detail="/proc/stat: time that a hypervisor gave to other guests")


def _charge(battery: Battery) -> str:
    return f"{100 * battery.charge:.0f} %, {'charging' if battery.is_charging else 'discharging'}"


def _sign(name: str, value: _Value | str, shown: Callable[[_Value], str]) -> ValiditySign:
    if isinstance(value, str):
        return ValiditySign(name=name, can_tell=False, detail=value)
    return ValiditySign(name=name, can_tell=True, detail=shown(value))
