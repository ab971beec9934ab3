"""The diagnosis for a person: plain text in lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.cores import CoreGroup, format_cores
from steelyard_agent.doctor.diagnosis import Answer, Capability, Diagnosis
from steelyard_agent.doctor.knowledge_rows import knowledge_lines
from steelyard_agent.doctor.runtime_rows import runtime_lines
from steelyard_agent.rows import row

_PROBED = "everything is probed (steelyard-agent profile new drafts one)"
_NO_EVIDENCE = "nothing here shows whether this device slows itself down: blocks will say that it is not known"


def diagnosis_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the diagnosis as lines without line ends."""
    able = [one for one in diagnosis.capabilities if one.answer is not Answer.NO]
    groups = diagnosis.device.core_groups
    sections = {
        "Device": _device_lines(diagnosis),
        "Cores": [line for group in groups for line in _group_lines(group, diagnosis)] if len(groups) > 1 else [],
        "Can be measured": [line for one in able for line in row(one.name, one.details)],
        "Cannot be measured": _lacking_lines(diagnosis.capabilities),
        "Blocks are held back or found not valid by": _validity_lines(diagnosis),
        "Throttling shows in": _throttling_lines(diagnosis),
        "Runtimes": runtime_lines(diagnosis.device.runtimes),
        "Known of boards of this kind": knowledge_lines(diagnosis),
        "Could be steadier": _offer_lines(diagnosis),
        "Notes": [line for note in diagnosis.notes for line in row("", [note])],
    }
    blocks = [[title, *lines] for title, lines in sections.items() if lines]
    return [line for number, block in enumerate(blocks) for line in ([""] if number else []) + block]


def _device_lines(diagnosis: Diagnosis) -> list[str]:
    device = diagnosis.device
    cores = f"{device.processor or 'name not told'}, {device.logical_core_count} logical cores"
    system = f"{device.operating_system}, kernel {device.kernel}, {device.architecture}, Python {device.python_version}"
    rows = [
        ("name", device.name),
        ("model", device.model),
        ("profile", _profile(diagnosis)),
        ("processor", cores),
        ("features", ", ".join(device.processor_features) or "none of those that matter for compressed models"),
        ("memory", f"{device.memory_bytes / 2**30:.1f} GiB"),
        ("system", system),
    ]
    if diagnosis.governors:
        rows.append(("governor", ", ".join(diagnosis.governors)))
    return [line for name, text in rows for line in row(name, [text or "not told by the device"])]


def _profile(diagnosis: Diagnosis) -> str:
    if diagnosis.device.profile:
        return diagnosis.device.profile
    if diagnosis.nearest:
        same = f"the same chip ({diagnosis.nearest.soc_compatible}) as {diagnosis.nearest.profile.name}"
        return f"none fits; nearest: {same}; {_PROBED}"
    return f"none fits; {_PROBED}"


def _throttling_lines(diagnosis: Diagnosis) -> list[str]:
    if not diagnosis.throttling:
        return row("", [_NO_EVIDENCE])
    rows = [(one.name, one.detail) for one in diagnosis.throttling]
    if diagnosis.throttle_doubt:
        rows.append(("otherwise", f"a block reads unknown, not no: {diagnosis.throttle_doubt}"))
    return [line for name, text in rows for line in row(name, [text])]


def _group_lines(group: CoreGroup, diagnosis: Diagnosis) -> list[str]:
    parts = [f"cores {format_cores(group.core_ids)}"]
    if group.capacity is not None:
        parts.append(f"capacity {group.capacity}")
    if group.max_frequency_hz is not None:
        parts.append(f"up to {group.max_frequency_hz / 1e6:.0f} MHz")
    own = [name for name in group.features if name not in diagnosis.device.processor_features]
    if own:
        parts.append(f"also {', '.join(own)}")
    return row(group.name, [", ".join(parts)])


def _offer_lines(diagnosis: Diagnosis) -> list[str]:
    lines = [line for offer in diagnosis.offers for line in row(offer.name, [offer.sentence])]
    return [*lines, *row("", ["next: steelyard-agent doctor --fix says more, and changes it"])] if lines else []


def _validity_lines(diagnosis: Diagnosis) -> list[str]:
    """Return what can be looked at, and below it, as one row, what cannot."""
    told = [line for one in diagnosis.validity if one.can_tell for line in row(one.name, [one.detail])]
    silent = [f"{one.name}: {one.detail}" for one in diagnosis.validity if not one.can_tell]
    return [*told, *(row("not told", silent) if silent else [])]


def _lacking_lines(capabilities: Sequence[Capability]) -> list[str]:
    lacking = [one for one in capabilities if one.reasons]
    steps = {one.name: [f"next: {one.next_step}"] if one.next_step else [] for one in lacking}
    return [line for one in lacking for line in row(one.name, [*one.reasons, *steps[one.name]])]
