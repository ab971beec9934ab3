"""What of a night's cells was measured, and why the others were not."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.nightly.night_facts import NightFacts
from steelyard.nightly.night_report import Coverage, Gap
from steelyard.nightly.notes import CellNote, CellState
from steelyard.suites.cells import Cell

# Left for another night because of the budget, as planned: such a night is complete.
ROTATION = "rotation"


def coverage_of(facts: NightFacts) -> Coverage:
    """Return the cells that were planned and measured, with the reason for each gap."""
    cells = tuple(facts.cells.values())
    measured = [cell for cell in cells if _state(facts, cell) is CellState.MEASURED]
    return Coverage(
        planned_count=len(cells),
        measured_count=len(measured),
        gaps=(*_cell_gaps(facts), *_metric_gaps(facts, set(measured))),
    )


def is_hole(gap: Gap) -> bool:
    """Say whether a gap makes the night incomplete: a whole cell that was to be measured tonight."""
    return gap.metric == "" and gap.code != ROTATION


def _cell_gaps(facts: NightFacts) -> Iterator[Gap]:
    names = {device.device_id: device.name for device in facts.devices}
    for cell in facts.cells.values():
        note = facts.notes.get(cell.key)
        if note is not None and note.state is CellState.MEASURED:
            continue
        code, reason = _why(note)
        yield Gap(
            model=cell.model,
            device=names.get(cell.device_id, cell.device_id),
            runtime=cell.runtime,
            metric="",
            code=code,
            reason=reason,
        )


def _why(note: CellNote | None) -> tuple[str, str]:
    if note is None:
        return "not_planned", "the night ended before it was planned"
    if note.state is CellState.GAP:
        return note.code or "failed", note.reason or "it was not measured"
    return "not_finished", note.reason or "the night ended before it was measured"


def _metric_gaps(facts: NightFacts, measured: set[Cell]) -> Iterator[Gap]:
    names = {device.device_id: device.name for device in facts.devices}
    for (model, device_id, runtime, metric), reason in facts.gaps.items():
        cell = Cell(model=model, device_id=device_id, runtime=runtime)
        if cell in measured:
            yield Gap(
                model=model,
                device=names.get(device_id, device_id),
                runtime=runtime,
                metric=metric,
                code="no_value",
                reason=reason,
            )


def _state(facts: NightFacts, cell: Cell) -> CellState:
    note = facts.notes.get(cell.key)
    return note.state if note is not None else CellState.GAP
