"""What a night writes down as it goes on, and by which an interrupted one is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from steelyard.nightly.report_json import made, plain
from steelyard.series.judgements import ConfirmationOutcome

if TYPE_CHECKING:
    from steelyard.suites.cells import Cell

_Note = TypeVar("_Note")

SESSION, SENTINEL, CELL, CONFIRMATION = "session", "sentinel", "cell", "confirmation"
MODEL, NOTIFICATION, ENDED_ALERTS = "model", "notification", "ended_alerts"


class CellState(Enum):
    """How far a cell is."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    MEASURED = "measured"
    # Not tonight: the note says why.
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellNote:
    """One cell; ``device_s`` is device time of all its attempts, ``began_s`` that of the session when it began."""

    state: CellState
    job_id: str = ""
    attempts: int = 0
    artifact_digest: str = ""
    device_s: float = 0.0
    began_s: float = 0.0
    rounds: int = 0
    is_throttled: bool = False
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelNote:
    """The sentinel at one end of a session; ``p50_ns`` None with the reason why.

    ``epoch`` names the frozen file and the runtime with its version: figures of two epochs say nothing of the device.
    """

    p50_ns: float | None
    epoch: str = ""
    job_id: str = ""
    device_s: float = 0.0
    reason: str = ""


class SessionState(Enum):
    """How far a device's session is."""

    # Behind another night's session on the device, or for the device itself.
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNote:
    """A device's session. ``claimed_at`` is the controller's time, by which two nights take turns.

    ``late_s`` is how long after the night's start the device was there; ``notes`` are sentences for the report.
    """

    state: SessionState
    device: str
    claimed_at: str
    late_s: float = 0.0
    was_measured: bool = False
    round_count: int = 0
    budget_s: float = 0.0
    code: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNote:
    """The artifact that a model slot stood for tonight, or why there is none."""

    digest: str = ""
    name: str = ""
    recipe: str = ""
    code: str = ""
    reason: str = ""


class Factor(Enum):
    """What a confirmation puts back to what it was on the last good night."""

    MODEL = "model"
    RUNTIME = "runtime"
    # Nothing could be put back: the current one is measured again, by itself.
    AGAIN = "again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationNote:
    """One confirmation of a cell: its job and, once it ended, what it shows of each metric.

    ``outcomes`` are by metric; ``silent`` are metrics with the reason why the job shows nothing of them, with the
    metric "" where it shows nothing at all. ``limits`` is what could not be put back.
    """

    factor: Factor
    metrics: tuple[str, ...]
    last_good_night: int
    job_id: str = ""
    is_over: bool = False
    outcomes: tuple[tuple[str, ConfirmationOutcome], ...] = ()
    silent: tuple[tuple[str, str], ...] = ()
    limits: str = ""
    reproduce: str = ""
    device_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAlertsNote:
    """The alerts that end with the night, noted before they are closed: one that is told again tells them again."""

    alert_ids: tuple[str, ...]


class Items(Protocol):
    """Where notes are kept: ``client.nightly``."""

    def put_item(self, night_id: str, kind: str, key: str, document: Any) -> None:
        """Keep a note."""
        ...

    def items(self, night_id: str, kind: str) -> Mapping[str, Any]:
        """Return the notes of a kind by key."""
        ...


class Journal:
    """The notes of one night."""

    def __init__(self, items: Items, night_id: str) -> None:
        self._items = items
        self.night_id = night_id

    def put(self, kind: str, key: str, note: object) -> None:
        """Write a note down, in the place of the one before."""
        self._items.put_item(self.night_id, kind, key, plain(note))

    def all(self, kind: str, note: type[_Note]) -> dict[str, _Note]:
        """Return the notes of a kind by key, in the order in which they were first written."""
        return {key: made(note, values) for key, values in self._items.items(self.night_id, kind).items()}

    def get(self, kind: str, key: str, note: type[_Note]) -> _Note | None:
        """Return one note, None where there is none."""
        return self.all(kind, note).get(key)


def cells_of_device(notes: Mapping[str, CellNote], cells: Mapping[str, Cell], device_id: str) -> dict[Cell, CellNote]:
    """Return the notes of a device's cells; ``cells`` are by their keys."""
    return {cells[key]: note for key, note in notes.items() if key in cells and cells[key].device_id == device_id}


def confirmation_key(cell: Cell, factor: Factor) -> str:
    """Return the key of a confirmation's note."""
    return f"{cell.key}\n{factor.value}"


def confirmations_s(notes: Mapping[str, ConfirmationNote], device_id: str) -> float:
    """Return the device time that a device's confirmations took, in s; ``notes`` are by their keys."""
    return sum(note.device_s for key, note in notes.items() if key.split("\n")[1] == device_id)


def sentinel_key(device_id: str, end: str) -> str:
    """Return the key of a sentinel's note; ``end`` is "start" or "end"."""
    return f"{device_id}\n{end}"
