"""Each device's line of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from steelyard.nightly.device_judgement import DeviceJudgement
from steelyard.nightly.night_facts import NightFacts
from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.nightly.night_report import DeviceHealth, DeviceState
from steelyard.nightly.notes import CellNote, CellState, SessionNote, confirmations_s, sentinel_key
from steelyard.series.judgements import DeviceVerdictKind
from steelyard.suites.cells import NightDevice
from steelyard.suites.suite import NO_SENTINEL
from steelyard.triage.tonight import DeviceTrouble

# A device that was there this much later than the night's start came late.
_LATE_S = 300.0


def device_lines(
    facts: NightFacts,
    judgements: Mapping[str, DeviceJudgement],
    findings: Sequence[Finding],
    troubles: Sequence[DeviceTrouble],
) -> tuple[DeviceHealth, ...]:
    """Return the devices of the suite, those that nobody has as offline; ``troubles`` hold back their ``findings``."""
    held_back = Counter(one.series.device_id for one in findings if one.outcome is Outcome.DEVICE)
    because = {one.device_id: one.sentence for one in troubles}
    lines = [
        _line(
            facts,
            device,
            judgements.get(device.device_id),
            trouble=because.get(device.device_id, ""),
            held_back=held_back[device.device_id],
        )
        for device in facts.devices
    ]
    lines += [
        DeviceHealth(
            device=one.name,
            device_id="",
            state=DeviceState.OFFLINE,
            sentence=one.reason,
            planned_count=sum(cell.device_id == one.name for cell in facts.cells.values()),
        )
        for one in facts.unmet
    ]
    return tuple(lines)


def _line(
    facts: NightFacts, device: NightDevice, judgement: DeviceJudgement | None, *, trouble: str, held_back: int
) -> DeviceHealth:
    notes = {key: note for key, note in facts.notes.items() if _is_of(facts, key, device)}
    session = facts.sessions.get(device.device_id)
    measured = sum(one.state is CellState.MEASURED for one in notes.values())
    planned = sum(cell.device_id == device.device_id for cell in facts.cells.values())
    state, sentence = _state(facts, session, notes, judgement, measured=measured, planned=planned)
    if trouble:
        state, sentence = DeviceState.DRIFTED, trouble
    verdict = None if judgement is None else judgement.verdict
    seconds = _device_seconds(facts, device, notes)
    return DeviceHealth(
        device=device.name,
        device_id=device.device_id,
        state=state,
        sentence=sentence,
        sentinel_change=None if verdict is None else verdict.change,
        sentinel_moved=None if verdict is None else verdict.moved,
        planned_count=planned,
        measured_count=measured,
        inhibited_count=held_back,
        device_minutes=seconds / 60.0 if seconds else None,
        notes=_notes(facts, device, session),
    )


def _is_of(facts: NightFacts, key: str, device: NightDevice) -> bool:
    cell = facts.cells.get(key)
    return cell is not None and cell.device_id == device.device_id


def _state(
    facts: NightFacts,
    session: SessionNote | None,
    notes: Mapping[str, CellNote],
    judgement: DeviceJudgement | None,
    *,
    measured: int,
    planned: int,
) -> tuple[DeviceState, str]:
    if measured == 0 and session is not None and session.code:
        is_quarantined = session.code == "quarantined"
        return (DeviceState.QUARANTINED if is_quarantined else DeviceState.OFFLINE), session.reason
    sentinel = _sentinel_words(facts, judgement)
    throttled = sum(one.is_throttled for one in notes.values())
    if throttled:
        return DeviceState.THROTTLED, f"it throttled in {throttled} of {measured} measurements; {sentinel}"
    if measured < planned:
        return DeviceState.PARTLY, f"{measured} of {planned} cells were measured; {sentinel}"
    return DeviceState.MEASURED, sentinel


def _sentinel_words(facts: NightFacts, judgement: DeviceJudgement | None) -> str:
    if facts.running.suite.sentinel == NO_SENTINEL:
        return "the suite has no sentinel: changes of the device look like changes of its models"
    if judgement is None:
        return "it was not judged"
    if judgement.verdict.kind is DeviceVerdictKind.UNKNOWN:
        return f"not known yet whether it is steady: {judgement.verdict.reason}"
    return judgement.verdict.reason


def _device_seconds(facts: NightFacts, device: NightDevice, notes: Mapping[str, CellNote]) -> float:
    total = sum(one.device_s for one in notes.values())
    for end in ("start", "end"):
        sentinel = facts.sentinels.get(sentinel_key(device.device_id, end))
        total += sentinel.device_s if sentinel is not None else 0.0
    return total + confirmations_s(facts.confirmations, device.device_id)


def _notes(facts: NightFacts, device: NightDevice, session: SessionNote | None) -> tuple[str, ...]:
    found = list(session.notes) if session is not None else []
    if session is not None and session.was_measured and session.late_s > _LATE_S:
        found.append(f"it was there {session.late_s / 60:.0f} min after the night began, and measured then")
    for end in ("start", "end"):
        sentinel = facts.sentinels.get(sentinel_key(device.device_id, end))
        if sentinel is not None and sentinel.p50_ns is None:
            found.append(f"no sentinel at the {end} of the session: {sentinel.reason}")
    return tuple(found)
