"""What this device can and cannot measure, with the reason for each thing that it cannot. Nothing is printed here."""

from __future__ import annotations

import os
import re
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from textwrap import wrap

from steelyard_agent.description import DeviceDescription
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.frequency import read_governors
from steelyard_agent.meters.sysfs import SourceError, read_text
from steelyard_agent.profiles import Profile
from steelyard_agent.readings import Reading

SCHEMA_VERSION = 1

_LINE_WIDTH = 80
_NAME_WIDTH = 13
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
_GUEST_PROFILE = "virtual-machine"


class Answer(Enum):
    """Whether a thing can be measured."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One thing that might be measured: what is there (``details``), what is not (``reasons``), what to do about it."""

    name: str
    answer: Answer
    details: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    next_step: str = ""

    def __post_init__(self) -> None:
        """Refuse a "no" without a reason."""
        if self.answer is not Answer.YES and not self.reasons:
            raise ValueError(f"capability {self.name!r} is {self.answer.value!r} without a reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The doctor's findings; ``facts`` are the profile's, as (name, value, source)."""

    device: DeviceDescription
    capabilities: tuple[Capability, ...]
    governors: tuple[str, ...] = ()
    facts: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()


def diagnose(
    system: System,
    device: DeviceDescription,
    *,
    profiles: Sequence[Profile] = (),
    pointer_bits: int = struct.calcsize("P") * 8,
    clock_resolution_s: float | None = None,
    platform_name: str = sys.platform,
) -> Diagnosis:
    """Return what the described device can measure; ``profiles`` is where its profile's facts are looked up."""
    profile = next((one for one in profiles if one.name == device.profile), None)
    facts = tuple((name, fact.value, fact.source) for name, fact in profile.facts.items()) if profile else ()
    capabilities = (
        _latency(clock_resolution_s),
        Capability(name="load", answer=Answer.YES, details=("model load and first inference, kept apart",)),
        _memory(system, platform_name),
        _meter(device, "temperature", r"(\w+_)?temperature"),
        _meter(device, "frequency", r"cpu_(max_)?frequency"),
        _power(device, {name: value for name, value, _ in facts}),
    )
    return Diagnosis(
        device=device,
        capabilities=capabilities,
        governors=read_governors(system),
        facts=facts,
        notes=_notes(device, pointer_bits),
    )


def diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, object]:
    """Return the diagnosis as JSON values, with ``schema_version``."""
    device = asdict(diagnosis.device)
    device["meters"] = [_reading_to_json(reading) for reading in diagnosis.device.meters]
    return {
        "schema_version": SCHEMA_VERSION,
        "device": device,
        "capabilities": [{**asdict(one), "answer": one.answer.value} for one in diagnosis.capabilities],
        "governors": list(diagnosis.governors),
        "facts": [{"name": name, "value": value, "source": source} for name, value, source in diagnosis.facts],
        "notes": list(diagnosis.notes),
    }


def diagnosis_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the diagnosis for a person: plain text in lines of at most 80 columns."""
    lines = ["Device"]
    for name, text in _device_rows(diagnosis):
        lines += _row(name, [text] if text else ["not told by the device"])
    lines += ["", "Can be measured"]
    for one in diagnosis.capabilities:
        if one.answer is not Answer.NO:
            lines += _row(one.name, one.details)
    lines += _lacking_lines(diagnosis.capabilities)
    lines += ["", "Runtimes"]
    for runtime in diagnosis.device.runtimes:
        able = f"{runtime.version}: {', '.join(runtime.providers)}" if runtime.version else ""
        lines += _row(runtime.name, [text for text in (able, *_grouped(runtime.reason)) if text])
    if not diagnosis.device.runtimes:
        lines += _row("", ["none was looked for"])
    if diagnosis.notes:
        lines += ["", "Notes", *(line for note in diagnosis.notes for line in _row("", [note]))]
    return lines


def _latency(clock_resolution_s: float | None) -> Capability:
    resolution_s = time.get_clock_info("perf_counter").resolution if clock_resolution_s is None else clock_resolution_s
    detail = f"every sample, monotonic clock with steps of {resolution_s * 1e9:g} ns"
    return Capability(name="latency", answer=Answer.YES, details=(detail,))


def _memory(system: System, platform_name: str) -> Capability:
    step = "use Linux 4.5 or newer for memory by phase"
    if platform_name == "darwin":
        reason = "by phase: macOS has no /proc/self/status"
        details = ("peak of the whole worker process, from getrusage",)
        return Capability(name="memory", answer=Answer.PARTLY, details=details, reasons=(reason,), next_step=step)
    try:
        status = read_text(system, "/proc/self/status")
    except SourceError as error:
        return Capability(name="memory", answer=Answer.NO, reasons=(f"by phase: {error}",), next_step=step)
    if not re.search(r"^VmHWM:", status, re.MULTILINE) or not re.search(r"^RssAnon:", status, re.MULTILINE):
        reason = "by phase: /proc/self/status has no VmHWM or no RssAnon line"
        return Capability(name="memory", answer=Answer.NO, reasons=(reason,), next_step=step)
    refusal = _peak_reset_refusal(system)
    if refusal:
        return Capability(
            name="memory",
            answer=Answer.PARTLY,
            details=("resident set by phase, split into anonymous, file and shared",),
            reasons=(f"peak of a block alone: {refusal}",),
            next_step="the peak needs a kernel with CONFIG_PROC_PAGE_MONITOR",
        )
    detail = "resident set by phase, and the peak since the runtime was imported"
    return Capability(name="memory", answer=Answer.YES, details=(detail,))


def _peak_reset_refusal(system: System) -> str:
    """Return why the peak cannot be reset, "" when it can; opening the file for writing changes nothing."""
    try:
        os.close(system.open_descriptor(system.path("/proc/self/clear_refs"), os.O_WRONLY))
    except OSError as error:
        return f"/proc/self/clear_refs cannot be written: {(error.strerror or 'unknown error').lower()}"
    return ""


def _meter(device: DeviceDescription, name: str, pattern: str) -> Capability:
    readings = [reading for reading in device.meters if re.fullmatch(pattern, reading.name)]
    return _capability(name, readings, _next_step(device, name))


def _power(device: DeviceDescription, facts: dict[str, str]) -> Capability:
    readings = [reading for reading in device.meters if re.fullmatch(r"(\w+_)?(power|energy)", reading.name)]
    capability = _capability("power", readings, _next_step(device, "power"))
    # A step is missing where the reason itself says what to do.
    if capability.answer is Answer.NO and capability.next_step and "power_source" in facts:
        told = f"known of boards of this kind: {facts['power_source']}"
        return Capability(
            name="power", answer=Answer.NO, reasons=(*capability.reasons, told), next_step=capability.next_step
        )
    return capability


def _next_step(device: DeviceDescription, name: str) -> str:
    steps = _NEXT_STEPS_OF_GUESTS if device.profile == _GUEST_PROFILE else _NEXT_STEPS
    return steps[name]


def _capability(name: str, readings: list[Reading], next_step: str) -> Capability:
    details = tuple(_shown(reading) for reading in readings if reading.value is not None)
    reasons = tuple(dict.fromkeys(reading.reason for reading in readings if reading.value is None))
    if not details and not reasons:
        reasons = ("no meter looked for it",)
    if details:
        answer = Answer.PARTLY if reasons else Answer.YES
        # A refused zone beside one that answers is told, but calls for nothing.
        return Capability(name=name, answer=answer, details=details, reasons=reasons)
    # The reason of a refusal says what to do itself.
    step = "" if any("permission denied" in reason for reason in reasons) else next_step
    return Capability(name=name, answer=Answer.NO, reasons=reasons, next_step=step)


def _shown(reading: Reading) -> str:
    assert reading.value is not None
    caution = f"; {reading.reason}" if reading.reason else ""
    if reading.unit == "J":
        return f"{reading.name}: a counter in J, scope {reading.scope.value.lower()}, from {reading.source}{caution}"
    value, unit = (reading.value / 1e6, "MHz") if reading.unit == "Hz" else (reading.value, reading.unit)
    return f"{reading.name} {value:.4g} {unit}, from {reading.source}{caution}"


def _notes(device: DeviceDescription, pointer_bits: int) -> tuple[str, ...]:
    notes = []
    if pointer_bits == 32 and device.architecture in {"aarch64", "arm64", "x86_64"}:
        notes.append(
            f"Python is a 32-bit program on a {device.architecture} kernel: features such as asimddp may be hidden, "
            "and most runtimes publish no 32-bit wheels; install a 64-bit system"
        )
    return tuple(notes)


def _device_rows(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    device = diagnosis.device
    cores = f"{device.processor or 'name not told'}, {device.logical_core_count} logical cores"
    system = f"{device.operating_system}, kernel {device.kernel}, {device.architecture}, Python {device.python_version}"
    rows = [
        ("name", device.name),
        ("model", device.model),
        ("profile", device.profile or "none matches; everything is probed"),
        ("processor", cores),
        ("features", ", ".join(device.processor_features) or "none of those that matter for compressed models"),
        ("memory", f"{device.memory_bytes / 2**30:.1f} GiB"),
        ("system", system),
    ]
    if diagnosis.governors:
        rows.append(("governor", ", ".join(diagnosis.governors)))
    shown = {"accelerator", "throttling", "frequency"}
    return rows + [(name, f"{value} (profile)") for name, value, _ in diagnosis.facts if name in shown]


def _lacking_lines(capabilities: Sequence[Capability]) -> list[str]:
    lacking = [one for one in capabilities if one.reasons]
    if not lacking:
        return []
    lines = ["", "Cannot be measured"]
    for one in lacking:
        lines += _row(one.name, [*one.reasons, *([f"next: {one.next_step}"] if one.next_step else [])])
    return lines


def _grouped(reason: str) -> list[str]:
    """Return "A: x; B: x; C: y" as "A, B: x" and "C: y": a runtime lacks a dozen providers for one reason."""
    if not re.fullmatch(r"\w+: [^;]+(; \w+: [^;]+)*", reason):
        return [reason]
    groups: dict[str, list[str]] = {}
    for part in reason.split("; "):
        name, _, why = part.partition(": ")
        groups.setdefault(why, []).append(name)
    return [f"{', '.join(names)}: {why}" for why, names in groups.items()]


def _row(name: str, texts: Sequence[str]) -> list[str]:
    """Return the name and, in a column beside it, the texts, each beginning on a line of its own."""
    lines = [line for text in texts for line in _wrapped(text)] or [""]
    names = [name, *[""] * (len(lines) - 1)]
    return [f"  {left:<{_NAME_WIDTH}}{line}".rstrip() for left, line in zip(names, lines, strict=True)]


def _wrapped(text: str) -> list[str]:
    # Paths of sysfs hold dashes and colons and stay whole where they fit; what is longer than a line is cut.
    return wrap(text, _LINE_WIDTH - _NAME_WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)


def _reading_to_json(reading: Reading) -> dict[str, object]:
    return {
        **asdict(reading),
        "status": reading.status.value,
        "scope": reading.scope.value,
        "kind": reading.kind.value,
    }
