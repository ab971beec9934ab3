"""One device's session within a night: its turn, the sentinel, the cells, the sentinel again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.errors import SteelyardError
from steelyard.nightly.errors import StoppedError, is_gone
from steelyard.nightly.job_runs import COMMAND_ENDED, PASSING_STATES, EndedJob, wait_for_job
from steelyard.nightly.measuring import cell_options
from steelyard.nightly.notes import (
    CELL,
    SENTINEL,
    SESSION,
    CellNote,
    CellState,
    Journal,
    SentinelNote,
    SessionNote,
    SessionState,
    cells_of_device,
    sentinel_key,
)
from steelyard.nightly.presence import address_of, wait_until_there
from steelyard.nightly.runs import RunningNight
from steelyard.nightly.turns import night_ahead
from steelyard.series.device_judging import sentinel_figure
from steelyard.suites.cells import Cell, NightDevice
from steelyard.suites.estimating import SENTINEL_ROUNDS, budget_of
from steelyard.suites.planning import CellCost
from steelyard.suites.suite import RuntimeSlot
from steelyard_protocol.v1 import measurement_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

SENTINEL_MODEL = "(sentinel)"
# A second try, where the first one may have been bad luck.
_MOST_ATTEMPTS = 2
# Gaps that another run of the same night may fill.
PASSING_CODES = frozenset({"offline", "device_lost", "device_not_connected", "window", "draining"})


class DeviceSession:
    """Measures one device's cells of a night; what is finished is noted at once and never measured again."""

    def __init__(
        self,
        running: RunningNight,
        device: NightDevice,
        client: Client,
        *,
        cells: Mapping[str, Cell],
        costs: Mapping[Cell, CellCost],
    ) -> None:
        self._running = running
        self._device = device
        self._client = client
        self._journal = Journal(client.nightly, running.night.night_id)
        self._costs = costs
        notes = self._journal.all(CELL, CellNote)
        self._notes = cells_of_device(notes, cells, device.device_id)
        session = self._journal.get(SESSION, device.device_id, SessionNote)
        assert session is not None, "noted with the plan"
        self._session = session
        self._sentinels = {
            end: note
            for end in ("start", "end")
            if (note := self._journal.get(SENTINEL, sentinel_key(device.device_id, end), SentinelNote)) is not None
        }

    @property
    def used_s(self) -> float:
        """Device time that the session took so far."""
        cells_s = sum(one.device_s for one in self._notes.values())
        return cells_s + sum(one.device_s for one in self._sentinels.values())

    @property
    def notes(self) -> Mapping[Cell, CellNote]:
        """Its cells, each with its note."""
        return self._notes

    @property
    def sentinels(self) -> Mapping[str, SentinelNote]:
        """The sentinel's notes by "start" and "end"."""
        return self._sentinels

    def measure(self) -> SessionNote:
        """Measure what is left of the device's plan and return the session as it is then.

        Raises:
            StoppedError: the night was told to stop.
            SteelyardError: the controller is gone.
        """
        left = [cell for cell, note in self._notes.items() if _is_left(note)]
        if not left and not self._lacks_its_end():
            return self._session
        self._take_turn()
        code, reason = wait_until_there(self._client, self._running, self._device)
        if code:
            self._give_up(left, code, reason)
            return self._session
        late_s = self._running.clock.elapsed_s() - self._running.began_s
        self._keep(replace(self._session, was_measured=True, late_s=self._session.late_s or late_s))
        self._measure_sentinel("start")
        for cell in left:
            self._measure_until_settled(cell)
        if self._lacks_its_end():
            self._measure_sentinel("end")
        return self._session

    def _lacks_its_end(self) -> bool:
        """Say whether something was measured and no sentinel after it, as where the night was killed in between."""
        measured = any(note.state is CellState.MEASURED for note in self._notes.values())
        return measured and self._running.sentinel is not None and "end" not in self._sentinels

    def give_up(self, code: str, reason: str) -> None:
        """Note what is left as gaps, and let other nights have the device."""
        self._give_up([cell for cell, note in self._notes.items() if _is_left(note)], code, reason)
        self.done(notes=(*self._session.notes, f"its session ended early: {reason}"))

    def done(self, *, notes: tuple[str, ...] = ()) -> None:
        """Let other nights have the device."""
        self._keep(replace(self._session, state=SessionState.DONE, notes=notes or self._session.notes))

    # -- the turn -----------------------------------------------------------------------------------------------

    def _take_turn(self) -> None:
        said = ""
        self._keep(replace(self._session, state=SessionState.WAITING))
        while True:
            ahead = self._ahead()
            if not ahead:
                self._keep(replace(self._session, state=SessionState.RUNNING))
                ahead = self._ahead()
                if not ahead:
                    return
                # Both went ahead at once: the later one steps back.
                self._keep(replace(self._session, state=SessionState.WAITING))
            if ahead != said:
                self._running.say(f"{self._device.name} is in use by {ahead}; waiting for it")
                said = ahead
            if self._running.clock.wait(self._running.stop, self._running.options.look_s):
                raise StoppedError

    def _ahead(self) -> str:
        return night_ahead(self._client, self._running.night, self._device.device_id, self._session)

    # -- the sentinel -------------------------------------------------------------------------------------------

    def _measure_sentinel(self, end: str) -> None:
        artifact = self._running.sentinel
        before = self._sentinels.get(end)
        if artifact is None or (before is not None and before.p50_ns is not None):
            return
        slot = RuntimeSlot(name="sentinel", runtime=self._running.suite.sentinel_runtime)
        options = cell_options(
            self._running.suite,
            slot,
            title=f"sentinel of {self._running.suite.name}",
            min_rounds=SENTINEL_ROUNDS,
            max_rounds=min(SENTINEL_ROUNDS, self._running.suite.measure.max_rounds),
            numeric_check=False,
            energy=False,
        )
        self._running.say(f"{self._device.name}: sentinel ({end})")
        try:
            handle = self._client.measure([artifact], device=address_of(self._device), options=options)
            note = _sentinel_note(artifact.digest, wait_for_job(self._client, handle.job_id, self._running.stop))
        except SteelyardError as error:
            if is_gone(error):
                raise
            note = SentinelNote(p50_ns=None, reason=str(error))
        self._sentinels[end] = note
        self._journal.put(SENTINEL, sentinel_key(self._device.device_id, end), note)

    # -- cells --------------------------------------------------------------------------------------------------

    def _measure_until_settled(self, cell: Cell) -> None:
        """Measure a cell, a second time where the device was lost and is back."""
        while _is_left(self._notes[cell]):
            code, reason = self._why_not_now(cell)
            if not code:
                code, reason = wait_until_there(self._client, self._running, self._device)
            if code:
                self._note(cell, replace(self._notes[cell], state=CellState.GAP, code=code, reason=reason))
                return
            self._try(cell)

    def _why_not_now(self, cell: Cell) -> tuple[str, str]:
        budget = budget_of(self._running.suite, self._device.budget_s)
        needed = self._costs[cell].seconds(self._running.suite.measure.min_rounds)
        room = budget.cells_s + budget.sentinel_s - self.used_s
        if self._notes[cell].job_id == "" and room < needed:
            minutes = f"{needed / 60:.1f} min are needed, {max(0.0, room) / 60:.1f} min are left"
            return "budget", f"the device's budget of {budget.total_s / 60:g} min is used up: {minutes}"
        return "", ""

    def _try(self, cell: Cell) -> None:
        note = self._notes[cell]
        try:
            if not (note.state is CellState.SUBMITTED and note.job_id):
                note = self._submit(cell, note)
            ended = self._wait(note)
        except SteelyardError as error:
            if is_gone(error):
                raise
            self._note(cell, replace(note, state=CellState.GAP, code=error.reason, reason=str(error)))
            return
        self._note(cell, _settled(note, ended))

    def _wait(self, note: CellNote) -> EndedJob:
        return wait_for_job(self._client, note.job_id, self._running.stop)

    def _submit(self, cell: Cell, note: CellNote) -> CellNote:
        model = self._running.models[cell.model]
        assert model.artifact is not None, "cells of models that are not there were never planned"
        suite = self._running.suite
        options = cell_options(
            suite,
            suite.runtime(cell.runtime),
            title=f"{suite.name} {self._running.night.night_number}: {cell.model}",
            min_rounds=suite.measure.min_rounds,
            max_rounds=max(self._session.round_count, suite.measure.min_rounds),
        )
        self._running.say(f"{self._device.name}: {cell.model} ({cell.runtime})")
        handle = self._client.measure(
            [model.artifact], device=address_of(self._device), task=model.task, options=options
        )
        submitted = replace(
            note,
            state=CellState.SUBMITTED,
            job_id=handle.job_id,
            attempts=note.attempts + 1,
            artifact_digest=model.artifact.digest,
            began_s=self.used_s,
        )
        self._note(cell, submitted)
        return submitted

    def _give_up(self, left: list[Cell], code: str, reason: str) -> None:
        self._keep(replace(self._session, code=code, reason=reason))
        for cell in left:
            self._note(cell, replace(self._notes[cell], state=CellState.GAP, code=code, reason=reason))

    def _note(self, cell: Cell, note: CellNote) -> None:
        self._notes[cell] = note
        self._journal.put(CELL, cell.key, note)

    def _keep(self, session: SessionNote) -> None:
        if session != self._session or session.state is SessionState.WAITING:
            self._session = session
            self._journal.put(SESSION, self._device.device_id, session)


def _is_left(note: CellNote) -> bool:
    return note.state in {CellState.PLANNED, CellState.SUBMITTED} or (
        note.state is CellState.GAP and note.code in PASSING_CODES and note.attempts < _MOST_ATTEMPTS
    )


def _settled(note: CellNote, ended: EndedJob) -> CellNote:
    """Return a cell's note after a try."""
    spent = note.device_s + ended.device_s
    if ended.measurement is None and ended.code == COMMAND_ENDED:
        # No fault of the device's: this night was interrupted, and the controller with it.
        return replace(note, state=CellState.PLANNED, job_id="", device_s=spent, attempts=note.attempts - 1)
    if ended.measurement is None:
        may_try = ended.job.state in PASSING_STATES and note.attempts < _MOST_ATTEMPTS
        state = CellState.PLANNED if may_try else CellState.GAP
        return replace(note, state=state, job_id="", device_s=spent, code=ended.code, reason=ended.reason)
    variant = ended.measurement.variants[0]
    if variant.failure.message:
        return replace(
            note,
            state=CellState.GAP,
            device_s=spent,
            code=variant.failure.reason or "failed",
            reason=variant.failure.message,
        )
    return replace(
        note,
        state=CellState.MEASURED,
        device_s=spent,
        rounds=ended.measurement.round_count,
        is_throttled=_is_throttled(ended.measurement),
        code="",
        reason="",
    )


def _is_throttled(measurement: measurement_pb2.Measurement) -> bool:
    return any(variant.throttled_block_count for variant in measurement.variants)


def _sentinel_note(digest: str, ended: EndedJob) -> SentinelNote:
    if ended.measurement is None:
        return SentinelNote(p50_ns=None, job_id=ended.job.job_id, device_s=ended.device_s, reason=ended.reason)
    variant = ended.measurement.variants[0]
    # By the median over its rounds, unlike the figures of models: see ``sentinel_figure``.
    rounds_ns = [one.p50_ns for one in variant.rounds if one.p50_ns > 0.0]
    if not rounds_ns or not variant.p50_latency.HasField("value"):
        reason = variant.failure.message or variant.p50_latency.reason or "the sentinel has no p50"
        return SentinelNote(p50_ns=None, job_id=ended.job.job_id, device_s=ended.device_s, reason=reason)
    runtime = variant.runtime
    return SentinelNote(
        p50_ns=sentinel_figure(rounds_ns),
        epoch=f"{digest[:12]} {runtime.name} {variant.runtime_version}",
        job_id=ended.job.job_id,
        device_s=ended.device_s,
    )
