"""Each device's plan of a night, noted cell by cell before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.nightly.coverage import ROTATION
from steelyard.nightly.notes import CELL, SESSION, CellNote, CellState, Journal, SessionNote, SessionState
from steelyard.nightly.runs import RunningNight
from steelyard.suites.cells import Cell, NightDevice, cells_of
from steelyard.suites.estimating import budget_of, learnt_cost
from steelyard.suites.outlook import expected_costs
from steelyard.suites.planning import CellCost, DevicePlan, plan_device
from steelyard.suites.suite import Suite
from steelyard_protocol.v1 import nightly_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client


def plan_of_device(
    suite: Suite,
    device: NightDevice,
    cells: Sequence[Cell],
    costs: Mapping[Cell, CellCost],
    last_nights: Mapping[Cell, int],
) -> DevicePlan:
    """Return what a device measures tonight."""
    return plan_device(
        cells,
        costs,
        budget_of(suite, device.budget_s),
        last_nights=last_nights,
        min_rounds=suite.measure.min_rounds,
        max_rounds=suite.measure.max_rounds,
    )


def learnt_costs(
    client: Client, suite: Suite, cells: Sequence[Cell], previous: nightly_pb2.Night | None
) -> dict[Cell, CellCost]:
    """Return what each cell takes: as the last night saw it, else by its plan."""
    costs = expected_costs(suite, cells)
    if previous is None:
        return costs
    notes = Journal(client.nightly, previous.night_id).all(CELL, CellNote)
    for cell, expected in list(costs.items()):
        note = notes.get(cell.key)
        if note is not None and note.state is CellState.MEASURED:
            costs[cell] = learnt_cost(note.device_s, note.rounds, expected)
    return costs


def last_measured(client: Client, suite: Suite) -> dict[Cell, int]:
    """Return the last night that measured each cell."""
    chosen = nightly_pb2.SeriesFilter(suite_name=suite.name)
    found: dict[Cell, int] = {}
    for one in client.nightly.series.histories(chosen, last=1):
        key = one.series.key
        cell = Cell(model=key.model, device_id=key.device_id, runtime=key.runtime)
        found[cell] = max(found.get(cell, 0), max(one.night_numbers, default=0))
    return found


def note_plans(
    client: Client, running: RunningNight, devices: Sequence[NightDevice], costs: Mapping[Cell, CellCost]
) -> None:
    """Note every cell that has no note yet: planned, or a gap with the reason.

    What was noted before an interruption stays: the plan of a night is made once.
    """
    suite = running.suite
    journal = Journal(client.nightly, running.night.night_id)
    known = journal.all(CELL, CellNote)
    sessions = journal.all(SESSION, SessionNote)
    last_nights = last_measured(client, suite)
    for device in devices:
        cells = cells_of(suite, [device])
        for cell in cells:
            note = running.models[cell.model].note
            if cell.key not in known and note.reason:
                journal.put(CELL, cell.key, CellNote(state=CellState.GAP, code=note.code, reason=note.reason))
        open_cells = [cell for cell in cells if cell.key not in known and not running.models[cell.model].note.reason]
        plan = plan_of_device(suite, device, open_cells, costs, last_nights)
        for cell in plan.cells:
            journal.put(CELL, cell.key, CellNote(state=CellState.PLANNED))
        for left in plan.left_out:
            journal.put(CELL, left.cell.key, CellNote(state=CellState.GAP, code=ROTATION, reason=left.reason))
        if device.device_id not in sessions:
            now = client.nightly.latest(suite.name).now.ToJsonString()
            session = SessionNote(state=SessionState.WAITING, device=device.name, claimed_at=now)
            journal.put(
                SESSION,
                device.device_id,
                replace(session, round_count=plan.round_count, budget_s=device.budget_s),
            )
