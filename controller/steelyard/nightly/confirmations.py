"""Confirmations of a device's candidates in the same night: last good against current, within the budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.errors import NotFoundError, SteelyardError
from steelyard.nightly.device_judgement import DeviceJudgement, JudgedCandidate
from steelyard.nightly.errors import is_gone
from steelyard.nightly.job_runs import COMMAND_ENDED, EndedJob, wait_for_job
from steelyard.nightly.measuring import cell_options
from steelyard.nightly.notes import (
    CONFIRMATION,
    ConfirmationNote,
    Factor,
    Journal,
    confirmation_key,
    confirmations_s,
)
from steelyard.nightly.presence import address_of, wait_until_there
from steelyard.nightly.remeasured import judge_again
from steelyard.nightly.rollback import Rollback, reproducing, rollbacks
from steelyard.nightly.runs import RunningNight
from steelyard.nightly.side_by_side import judge_job
from steelyard.series.confirming import as_the_night_looked
from steelyard.series.judgements import ConfirmationKind, ConfirmationOutcome, Side
from steelyard.series.metric_rules import MetricKind, MetricRule
from steelyard.suites.cells import Cell, NightDevice
from steelyard.suites.planning import CellCost

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.control.plans import MeasurementOptions
    from steelyard_protocol.v1 import control_pb2

_LEAST_ROUNDS = 6
# Whose settling ends a job early; other metrics need all of the rounds.
_STOPS_EARLY = frozenset({"p50"})


class Confirmations:
    """Runs a device's confirmations; each is noted before and after, so that none is run twice."""

    def __init__(
        self,
        running: RunningNight,
        device: NightDevice,
        client: Client,
        *,
        costs: Mapping[Cell, CellCost],
        used_s: float,
    ) -> None:
        self._running = running
        self._device = device
        self._client = client
        self._costs = costs
        self._journal = Journal(client.nightly, running.night.night_id)
        self._notes = self._journal.all(CONFIRMATION, ConfirmationNote)
        self._left_s = device.budget_s - used_s - confirmations_s(self._notes, device.device_id)

    def run(self, judgement: DeviceJudgement, environments: Mapping[int, Mapping[str, str]]) -> None:
        """Confirm what the budget allows: what got worse first, then what got better, the most certain first.

        Raises:
            StoppedError: the night was told to stop.
            SteelyardError: the controller is gone.
        """
        if not self._running.suite.night.confirm or judgement.verdict.holds_back:
            return
        count = 0
        for cell, candidates in by_cell(to_confirm(judgement.candidates, self._running.suite.metrics)).items():
            if cell not in self._costs:
                continue
            if count >= self._running.suite.night.max_confirmations:
                self._silence(cell, candidates, f"{count} confirmations were made tonight, the most that are allowed")
                continue
            count += 1
            self._confirm(cell, candidates, environments)

    def _confirm(
        self, cell: Cell, candidates: Sequence[JudgedCandidate], environments: Mapping[int, Mapping[str, str]]
    ) -> None:
        first = candidates[0]
        before = environments.get(first.facts.environment_of(first.last_good_night), {})
        now = environments.get(first.facts.environment_of(self._running.night.night_number), {})
        found = self._client.device(self._device.device_id)
        ways = rollbacks(
            before, now, found.description.runtimes, has_artifact=self._is_kept(before.get("artifact", ""))
        )
        open_metrics = [one.candidate.key.metric for one in candidates]
        for way in ways:
            note = self._one(cell, way, tuple(open_metrics), first.last_good_night, candidates)
            decided = {
                metric
                for metric, outcome in note.outcomes
                if outcome.kind in {ConfirmationKind.CONFIRMED, ConfirmationKind.IMPROVED}
            }
            open_metrics = [metric for metric in open_metrics if metric not in decided]
            if not open_metrics:
                return

    def _one(
        self,
        cell: Cell,
        way: Rollback,
        metrics: tuple[str, ...],
        last_good_night: int,
        candidates: Sequence[JudgedCandidate],
    ) -> ConfirmationNote:
        key = confirmation_key(cell, way.factor)
        note = self._notes.get(key) or ConfirmationNote(
            factor=way.factor, metrics=metrics, last_good_night=last_good_night, limits=way.limits
        )
        if note.is_over:
            return note
        try:
            note = self._judged(self._run_job(cell, way, note, key), candidates)
        except (_NoTimeError, SteelyardError) as error:
            if isinstance(error, SteelyardError) and is_gone(error):
                raise
            # With the job and its device time, where there was one.
            note = replace(self._notes.get(key, note), is_over=True, silent=(("", str(error)),))
        return self._keep(key, note)

    def _run_job(self, cell: Cell, way: Rollback, note: ConfirmationNote, key: str) -> ConfirmationNote:
        """Run the confirmation's job, a second one where the first ended with the night that it was begun by.

        Raises:
            SteelyardError: it did not end well; its device time counts all the same.
        """
        for is_last in (False, True):
            if not note.job_id:
                note = self._submit(cell, way, note, key)
            ended = wait_for_job(self._client, note.job_id, self._running.stop)
            # Written down only once it is over: a job that is waited for again counts once.
            note = self._notes[key] = replace(note, device_s=note.device_s + ended.device_s)
            self._left_s -= ended.device_s
            if ended.measurement is not None:
                return note
            if is_last or ended.code != COMMAND_ENDED:
                raise _failed(ended)
            note = replace(note, job_id="")
        raise AssertionError("the last try returns or raises")

    def _submit(self, cell: Cell, way: Rollback, note: ConfirmationNote, key: str) -> ConfirmationNote:
        rounds = self._affordable_rounds(cell, way)
        code, reason = wait_until_there(self._client, self._running, self._device)
        if code:
            raise _NoTimeError(reason)
        model = self._running.models[cell.model]
        assert model.artifact is not None, "what was measured tonight has an artifact"
        slot = self._running.suite.runtime(cell.runtime)
        options = self._options(cell, way, note.metrics, rounds)
        artifacts = [model.artifact]
        if way.factor is Factor.MODEL:
            artifacts.insert(0, self._client.artifact(way.artifact))
        self._running.say(f"{self._device.name}: confirming {', '.join(note.metrics)} of {cell.model} ({cell.runtime})")
        task = model.task if "accuracy" in note.metrics else None
        handle = self._client.measure(artifacts, device=address_of(self._device), task=task, options=options)
        command = reproducing(
            way,
            artifact=model.artifact.digest,
            device=self._device.name,
            runtime=slot.runtime,
            threads=slot.threads,
        )
        return self._keep(key, replace(note, job_id=handle.job_id, reproduce=command))

    def _options(self, cell: Cell, way: Rollback, metrics: Iterable[str], rounds: int) -> MeasurementOptions:
        suite = self._running.suite
        options = cell_options(
            suite,
            suite.runtime(cell.runtime),
            title=f"{suite.name} {self._running.night.night_number}: confirming {cell.model}",
            min_rounds=_LEAST_ROUNDS if _STOPS_EARLY.issuperset(metrics) else rounds,
            max_rounds=rounds,
            numeric_check=False,
            energy=not {"energy", "net_energy"}.isdisjoint(metrics),
        )
        if way.factor is not Factor.RUNTIME:
            return options
        return replace(options, runtime=options.runtime.partition("@")[0], vary={"env": way.environments})

    def _affordable_rounds(self, cell: Cell, way: Rollback) -> int:
        cost = self._costs[cell]
        arms = 1 if way.factor is Factor.AGAIN else 2
        most = int((self._left_s - arms * cost.start_s) // (arms * cost.round_s))
        if most < _LEAST_ROUNDS:
            needed = arms * cost.seconds(_LEAST_ROUNDS)
            raise _NoTimeError(
                f"no device time was left to confirm it: {needed / 60:.1f} min are needed, "
                f"{max(0.0, self._left_s) / 60:.1f} min are left of {self._device.budget_s / 60:g}"
            )
        return min(self._running.suite.night.confirmation_rounds, most - most % 2)

    def _judged(self, note: ConfirmationNote, candidates: Sequence[JudgedCandidate]) -> ConfirmationNote:
        rules = self._rules(note.metrics)
        if note.factor is Factor.AGAIN:
            measurement = self._client.measurement(note.job_id).measurement
            told: Mapping[str, ConfirmationOutcome | str] = judge_again(
                measurement, [one.candidate for one in candidates], rules
            )
        else:
            judge = self._running.judge_pair or _judge_pair
            sides = {one.candidate.key.metric: one.candidate.side for one in candidates}
            told = {
                metric: one if isinstance(one, str) else as_the_night_looked(one, sides.get(metric, Side.CHANGED))
                for metric, one in judge(self._client, note.job_id, list(rules.values())).items()
            }
        return replace(
            note,
            is_over=True,
            outcomes=tuple((metric, one) for metric, one in told.items() if isinstance(one, ConfirmationOutcome)),
            silent=tuple((metric, one) for metric, one in told.items() if isinstance(one, str)),
        )

    def _rules(self, metrics: Iterable[str]) -> dict[str, MetricRule]:
        return {metric: self._running.suite.metrics[metric] for metric in metrics}

    def _is_kept(self, digest: str) -> bool:
        if not digest:
            return False
        try:
            found: control_pb2.Artifact = self._client.artifact(digest)
        except NotFoundError:
            return False
        return found.digest == digest

    def _silence(self, cell: Cell, candidates: Sequence[JudgedCandidate], reason: str) -> None:
        key = confirmation_key(cell, Factor.AGAIN)
        if key not in self._notes:
            metrics = tuple(one.candidate.key.metric for one in candidates)
            night = candidates[0].last_good_night
            self._keep(
                key,
                ConfirmationNote(
                    factor=Factor.AGAIN, metrics=metrics, last_good_night=night, is_over=True, silent=(("", reason),)
                ),
            )

    def _keep(self, key: str, note: ConfirmationNote) -> ConfirmationNote:
        self._notes[key] = note
        self._journal.put(CONFIRMATION, key, note)
        return note


def _judge_pair(client: Client, job_id: str, rules: Sequence[MetricRule]) -> Mapping[str, ConfirmationOutcome | str]:
    return judge_job(client, job_id, rules).outcomes


class _NoTimeError(Exception):
    """There is no time for a confirmation; the text says why."""


def _failed(ended: EndedJob) -> SteelyardError:
    return SteelyardError(ended.code, f"the confirmation did not end well: {ended.reason}")


def to_confirm(candidates: Iterable[JudgedCandidate], rules: Mapping[str, MetricRule]) -> list[JudgedCandidate]:
    """Return the candidates that need a confirmation, in its order.

    Not exact metrics, of which two values that differ need no second look, not those that an earlier night confirmed,
    and not what got better some nights ago. What got worse comes first, and of that what an earlier night left open;
    then the most certain.
    """
    wanted = [
        one
        for one in candidates
        if not (one.is_standing or one.is_old_news) and rules[one.candidate.key.metric].kind is not MetricKind.EXACT
    ]
    return sorted(wanted, key=lambda one: (one.candidate.side is Side.BETTER, one.alert is None))


def by_cell(candidates: Iterable[JudgedCandidate]) -> dict[Cell, list[JudgedCandidate]]:
    """Group candidates by cell, in the order of each cell's first: one job confirms all metrics of a cell."""
    found: dict[Cell, list[JudgedCandidate]] = {}
    for one in candidates:
        key = one.candidate.key
        cell = Cell(model=key.model, device_id=key.device_id, runtime=key.runtime)
        found.setdefault(cell, []).append(one)
    return found
