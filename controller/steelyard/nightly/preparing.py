"""The artifacts of a night: each model of the suite as it is tonight, recipes applied afresh."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.errors import NotFoundError, SteelyardError
from steelyard.nightly.errors import is_gone
from steelyard.nightly.notes import MODEL, Journal, ModelNote
from steelyard.suites.missing_files import missing_source, newest_of
from steelyard.suites.suite import ModelSlot, Suite

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard_protocol.v1 import control_pb2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """A model slot's artifact of the night with its task, and what its file does; no artifact with the reason why."""

    note: ModelNote
    artifact: control_pb2.Artifact | None = None
    task: control_pb2.Task | None = None
    mac_count: int | None = None


def prepare_models(
    client: Client, suite: Suite, journal: Journal, *, say: Callable[[str], None] = lambda _text: None
) -> dict[str, PreparedModel]:
    """Return each model of the suite by its name.

    A model that cannot be prepared is no end of the night: its cells are gaps with the reason. What was prepared before
    an interruption stays what it is, also when its file was changed since. Recipes run on the controller, which knows
    what they made of the same parent before and does not make it again.

    Raises:
        SteelyardError: the controller is gone.
    """
    prepared: dict[str, PreparedModel] = {}
    notes = journal.all(MODEL, ModelNote)
    for slot in _parents_first(suite):
        kept = notes.get(slot.name)
        say(f"preparing {slot.name}")
        try:
            made = (
                _kept(client, suite, slot, kept, prepared)
                if kept and kept.digest
                else _fresh(client, suite, slot, prepared)
            )
        except SteelyardError as error:
            if is_gone(error):
                raise
            made = PreparedModel(note=ModelNote(code=error.reason, reason=str(error)))
        if kept != made.note:
            journal.put(MODEL, slot.name, made.note)
        prepared[slot.name] = made
    return {slot.name: prepared[slot.name] for slot in suite.models}


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


def _fresh(client: Client, suite: Suite, slot: ModelSlot, prepared: dict[str, PreparedModel]) -> PreparedModel:
    missing = missing_source(slot)
    if missing:
        return PreparedModel(note=ModelNote(code="removed_model", reason=missing))
    parent = _start(client, slot, prepared)
    if isinstance(parent, ModelNote):
        return PreparedModel(note=parent)
    task = _task(client, suite, slot, parent, prepared)
    artifact = parent
    if slot.recipe:
        handle = client.compress(parent, slot.recipe, task=task, seed=slot.seed, evaluate=False)
        handle.wait()
        artifact = handle.variant()
    note = ModelNote(digest=artifact.digest, name=artifact.name, recipe=slot.recipe)
    return PreparedModel(note=note, artifact=artifact, task=task, mac_count=_mac_count(client, artifact))


def _kept(
    client: Client, suite: Suite, slot: ModelSlot, note: ModelNote, prepared: dict[str, PreparedModel]
) -> PreparedModel:
    artifact = client.artifact(note.digest)
    start = artifact
    if slot.recipe and artifact.lineage.parent_digest:
        start = client.artifact(artifact.lineage.parent_digest)
    task = _task(client, suite, slot, start, prepared)
    return PreparedModel(note=note, artifact=artifact, task=task, mac_count=_mac_count(client, artifact))


def _start(client: Client, slot: ModelSlot, prepared: dict[str, PreparedModel]) -> control_pb2.Artifact | ModelNote:
    """Return the artifact that the slot begins with, or why there is none."""
    if slot.parent:
        parent = prepared[slot.parent]
        if parent.artifact is None:
            return ModelNote(code=parent.note.code, reason=f"{slot.parent}, which it is made of: {parent.note.reason}")
        return parent.artifact
    if slot.artifact:
        try:
            return client.artifact(slot.artifact)
        except NotFoundError as error:
            return ModelNote(code="removed_model", reason=str(error))
    path = slot.file if slot.file is not None else newest_of(slot.registry or Path(), slot.newest)
    if path is None:
        return ModelNote(code="removed_model", reason=f"nothing in {slot.registry} matches {slot.newest!r}")
    return client.add_model(path, name=path.stem)


def _task(
    client: Client, suite: Suite, slot: ModelSlot, start: control_pb2.Artifact, prepared: dict[str, PreparedModel]
) -> control_pb2.Task | None:
    task = suite.task(slot.task)
    if task is None:
        return None
    if slot.parent and suite.model(slot.parent).task == slot.task:
        return prepared[slot.parent].task
    return client.add_task(task.file, start)


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
