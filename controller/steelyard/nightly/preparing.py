"""The artifacts of a night: each model of the suite as it is tonight, recipes applied afresh."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.errors import NotFoundError, SteelyardError
from steelyard.nightly.errors import is_gone
from steelyard.nightly.job_runs import wait_for_end
from steelyard.nightly.notes import MODEL, Journal, ModelNote
from steelyard.suites.missing_files import missing_source, newest_of
from steelyard.suites.suite import ModelSlot, Suite
from steelyard_protocol.v1 import control_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """A model slot's artifact of the night with its task, and what its file does; no artifact with the reason why."""

    note: ModelNote
    artifact: control_pb2.Artifact | None = None
    task: control_pb2.Task | None = None
    mac_count: int | None = None


def prepare_models(
    client: Client,
    suite: Suite,
    journal: Journal,
    *,
    stop: threading.Event,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, PreparedModel]:
    """Return each model of the suite by its name.

    A model that cannot be prepared is no end of the night: its cells are gaps with the reason. What was prepared before
    an interruption stays what it is, also when its file was changed since. Recipes run on the controller, which knows
    what they made of the same parent before and does not make it again.

    Raises:
        StoppedError: the night was told to stop.
        SteelyardError: the controller is gone.
    """
    preparation = _Preparation(client, suite, stop=stop)
    notes = journal.all(MODEL, ModelNote)
    for slot in _parents_first(suite):
        kept = notes.get(slot.name)
        say(f"preparing {slot.name}")
        try:
            made = preparation.prepare(slot, kept)
        except SteelyardError as error:
            if is_gone(error):
                raise
            made = PreparedModel(note=ModelNote(code=error.reason, reason=str(error)))
        if kept != made.note:
            journal.put(MODEL, slot.name, made.note)
        preparation.models[slot.name] = made
    return {slot.name: preparation.models[slot.name] for slot in suite.models}


def _parents_first(suite: Suite) -> list[ModelSlot]:
    placed: dict[str, ModelSlot] = {}

    def place(slot: ModelSlot) -> None:
        if slot.name not in placed:
            if slot.parent:
                place(suite.model(slot.parent))
            placed[slot.name] = slot

    for slot in suite.models:
        place(slot)
    return list(placed.values())


class _Preparation:
    """The models of one night, one after the other, parents before what is made of them."""

    def __init__(self, client: Client, suite: Suite, *, stop: threading.Event) -> None:
        self.models: dict[str, PreparedModel] = {}
        self._client = client
        self._suite = suite
        self._stop = stop

    def prepare(self, slot: ModelSlot, kept: ModelNote | None) -> PreparedModel:
        """Return a slot's artifact: the one that was noted, where one was, else a fresh one."""
        if kept is not None and kept.digest:
            return self._again(slot, kept)
        missing = missing_source(slot)
        if missing:
            return PreparedModel(note=ModelNote(code="removed_model", reason=missing))
        start = self._start(slot)
        if isinstance(start, ModelNote):
            return PreparedModel(note=start)
        task = self._task(slot, start)
        artifact = self._compressed(slot, start, task) if slot.recipe else start
        note = ModelNote(digest=artifact.digest, name=artifact.name, recipe=slot.recipe)
        return PreparedModel(note=note, artifact=artifact, task=task, mac_count=_mac_count(self._client, artifact))

    def _again(self, slot: ModelSlot, note: ModelNote) -> PreparedModel:
        artifact = start = self._client.artifact(note.digest)
        if slot.recipe and artifact.lineage.parent_digest:
            start = self._client.artifact(artifact.lineage.parent_digest)
        task = self._task(slot, start)
        return PreparedModel(note=note, artifact=artifact, task=task, mac_count=_mac_count(self._client, artifact))

    def _start(self, slot: ModelSlot) -> control_pb2.Artifact | ModelNote:
        """Return the artifact that the slot begins with, or why there is none."""
        if slot.parent:
            parent = self.models[slot.parent]
            if parent.artifact is None:
                reason = f"{slot.parent}, which it is made of: {parent.note.reason}"
                return ModelNote(code=parent.note.code, reason=reason)
            return parent.artifact
        if slot.artifact:
            try:
                return self._client.artifact(slot.artifact)
            except NotFoundError as error:
                return ModelNote(code="removed_model", reason=str(error))
        path = slot.file if slot.file is not None else newest_of(slot.registry or Path(), slot.newest)
        if path is None:
            return ModelNote(code="removed_model", reason=f"nothing in {slot.registry} matches {slot.newest!r}")
        return self._client.add_model(path, name=path.stem)

    def _task(self, slot: ModelSlot, start: control_pb2.Artifact) -> control_pb2.Task | None:
        task = self._suite.task(slot.task)
        if task is None:
            return None
        if slot.parent and self._suite.model(slot.parent).task == slot.task:
            return self.models[slot.parent].task
        return self._client.add_task(task.file, start)

    def _compressed(
        self, slot: ModelSlot, start: control_pb2.Artifact, task: control_pb2.Task | None
    ) -> control_pb2.Artifact:
        handle = self._client.compress(start, slot.recipe, task=task, seed=slot.seed, evaluate=False)
        job, _ = wait_for_end(self._client, handle.job_id, self._stop)
        if job.state != control_pb2.JOB_STATE_RECORDED:
            raise SteelyardError(
                job.error.reason or "compression_failed",
                f"the recipe {slot.recipe} did not end well: {job.error.message or 'its job says no more'}",
            )
        return self._client.artifact(job.variant_digest)


def _mac_count(client: Client, artifact: control_pb2.Artifact) -> int | None:
    """Return the multiply-accumulates of the model's file, None where its sizes leave them open."""
    import tempfile

    from steelyard.artifact_formats.errors import InvalidModelError
    from steelyard.layers.read import read_layers

    with tempfile.NamedTemporaryFile(prefix="steelyard-", suffix=".model") as file:
        file.write(client.download(artifact.digest))
        file.flush()
        try:
            return read_layers(Path(file.name)).mac_count
        except InvalidModelError as error:
            _log.warning("multiply-accumulates of %s are not known: %s", artifact.name, error)
            return None
