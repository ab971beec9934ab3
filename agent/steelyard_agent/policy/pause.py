"""The local stop: ``pause.json`` in the state directory, laid there by ``steelyard-agent pause``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.errors import StateError

_FILE = "pause.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stop until a time (seconds since the epoch, this device's clock), or until somebody ends it (None)."""

    until_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse a time that is none."""
        if self.until_s is not None and (isinstance(self.until_s, bool) or not 0 <= self.until_s < 1e11):
            raise ValueError(f"{self.until_s!r} is no time")


def read_pause(state_root: Path) -> Pause | None:
    """Return the stop that was ordered, whether or not its time is over; one that cannot be read has no end."""
    path = state_root / _FILE
    try:
        return Pause(until_s=json.loads(path.read_bytes())["until_s"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        # Somebody wanted it to stop: that much is sure.
        return Pause()


def write_pause(state_root: Path, pause: Pause | None) -> None:
    """Order a stop, or (None) end it.

    Raises:
        StateError: The file cannot be written or removed.
    """
    path = state_root / _FILE
    try:
        if pause is None:
            path.unlink(missing_ok=True)
        else:
            write_durably(path, json.dumps({"until_s": pause.until_s}).encode("utf-8"))
    except OSError as error:
        raise StateError(
            "state_directory_unusable",
            f"{path} cannot be written ({error.strerror}); name the agent's folder with --state-directory",
        ) from error
