"""What can be measured: latency, load, and what the meters said when they were probed."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from steelyard_agent.description import DeviceDescription
from steelyard_agent.doctor.diagnosis import Answer, Capability
from steelyard_agent.profiles import Profile
from steelyard_agent.readings import Reading

POWER_NAMES = re.compile(r"(\w+_)?(power|energy)")

_NEXT_STEPS = {
    "temperature": "look for the board's thermal driver; without it throttling cannot be ruled out",
    "frequency": "look for a cpufreq driver; without it expect latency to wander with the frequency",
    "power": "measure at the supply with an external meter; latency, memory and accuracy need none",
}
_NEXT_STEPS_OF_GUESTS = {
    "temperature": "look at the machine that hosts this one; throttling cannot be ruled out here",
    "frequency": "fix the frequency on the host, or expect latency to wander with it",
    "power": "measure on a machine that is not virtual; latency, memory and accuracy need no sensor",
}
_LONG_PATH = re.compile(
    r"/sys/class/thermal/(thermal_zone[0-9]+)/temp|/sys/(?:class|devices/system/cpu|bus/i2c/drivers)/"
)
_FAILED_FILE = re.compile(
    r"(permission denied on )?(/sys/[^\s;]+)(;? (?:cannot be read: .+|is empty|is not there|run steelyard-agent .+))"
)
_GUEST_PROFILE = "virtual-machine"


def latency(device: DeviceDescription, clock_resolution_s: float | None) -> Capability:
    """Return how samples are timed; on an emulated processor time means nothing."""
    if device.emulated_by:
        return _emulated(device, "latency")
    resolution_s = time.get_clock_info("perf_counter").resolution if clock_resolution_s is None else clock_resolution_s
    detail = f"every sample, monotonic clock with steps of {resolution_s * 1e9:g} ns"
    return Capability(name="latency", answer=Answer.YES, details=(detail,))


def load(device: DeviceDescription) -> Capability:
    """Return what is told of loading a model."""
    if device.emulated_by:
        return _emulated(device, "load")
    return Capability(name="load", answer=Answer.YES, details=("model load and first inference, kept apart",))


def meter(device: DeviceDescription, name: str, pattern: str) -> Capability:
    """Return what the readings whose names match ``pattern`` say."""
    readings = [reading for reading in device.meters if re.fullmatch(pattern, reading.name)]
    return _capability(name, readings, _next_step(device, name))


def power(device: DeviceDescription, profile: Profile | None) -> Capability:
    """Return what the readings of power and energy say, and what is known of such boards where there is none."""
    readings = [reading for reading in device.meters if POWER_NAMES.fullmatch(reading.name)]
    capability = _capability("power", readings, _next_step(device, "power"))
    # A step is missing where the reason itself says what to do.
    if capability.answer is Answer.NO and capability.next_step and profile and profile.power:
        told = f"known of boards of this kind: {profile.power.sentence}"
        return replace(capability, reasons=(*capability.reasons, told))
    return capability


def _emulated(device: DeviceDescription, name: str) -> Capability:
    return Capability(
        name=name,
        answer=Answer.NO,
        reasons=(f"the processor is emulated ({device.emulated_by}): times say nothing of a real one",),
        next_step="measure on a real board; outputs and accuracy are those of its kernels here too",
    )


def _next_step(device: DeviceDescription, name: str) -> str:
    steps = _NEXT_STEPS_OF_GUESTS if device.profile == _GUEST_PROFILE else _NEXT_STEPS
    return steps[name]


def _capability(name: str, readings: list[Reading], next_step: str) -> Capability:
    details = tuple(_shown(reading) for reading in readings if reading.value is not None)
    reasons = _grouped([reading.reason for reading in readings if reading.value is None])
    if not details and not reasons:
        reasons = ("no meter looked for it",)
    if details:
        answer = Answer.PARTLY if reasons else Answer.YES
        # A refused zone beside one that answers is told, but calls for nothing.
        return Capability(name=name, answer=answer, details=details, reasons=reasons)
    # The reason of a refusal says what to do itself.
    step = "" if any("permission denied" in reason for reason in reasons) else next_step
    return Capability(name=name, answer=Answer.NO, reasons=reasons, next_step=step)


def _grouped(reasons: list[str]) -> tuple[str, ...]:
    """Return each reason once, and those of several files that fail alike as one."""
    by_failure: dict[tuple[str, str], list[str]] = {}
    for reason in dict.fromkeys(reasons):
        match = _FAILED_FILE.fullmatch(reason)
        before, path, after = match.groups(default="") if match else (reason, "", "")
        by_failure.setdefault((before, after), []).append(path)
    return tuple(
        f"{before}{', '.join(paths if len(paths) == 1 else map(_short, paths))}{after}"
        for (before, after), paths in by_failure.items()
    )


def _short(source: str) -> str:
    """Return a source without what every path of its kind begins with; ``--json`` has the whole."""
    return _LONG_PATH.sub(lambda match: match.group(1) or "", source)


def _shown(reading: Reading) -> str:
    assert reading.value is not None
    caution = f"; {reading.reason}" if reading.reason else ""
    if reading.unit == "J":
        return f"{reading.name}: a counter in J, {_sensor(reading)}, from {_short(reading.source)}{caution}"
    if reading.unit == "W":
        power = f"{reading.name} {reading.value:.4g} W, {_sensor(reading)}"
        return f"{power}, from {_short(reading.source)}{caution}"
    value, unit = (reading.value / 1e6, "MHz") if reading.unit == "Hz" else (reading.value, reading.unit)
    return f"{reading.name} {value:.4g} {unit}, from {_short(reading.source)}{caution}"


def _sensor(reading: Reading) -> str:
    """Return what a sensor covers, and its steps and rate where they are told."""
    told = [f"scope {reading.scope.value.lower().replace('_', ' ')}"]
    if reading.resolution is not None:
        scale, prefix = (1e3, "m") if reading.resolution >= 1e-3 else (1e6, "u")
        told.append(f"steps of {_three_digits(reading.resolution * scale)} {prefix}{reading.unit}")
    if reading.rate_hz is not None:
        told.append(f"renewed {_three_digits(reading.rate_hz)} times a second")
    return ", ".join(told)


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"
