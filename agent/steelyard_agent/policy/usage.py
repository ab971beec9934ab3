"""How long this device worked today: ``usage.json`` in the state directory, by its local date."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from steelyard_agent.state.durable import write_durably

_log = logging.getLogger(__name__)
_FILE = "usage.json"


class DailyUsage:
    """Counts the seconds of rounds; what was counted survives a restart. Used from one thread."""

    def __init__(self, state_root: Path) -> None:
        """Go on with what the file says."""
        self._path = state_root / _FILE
        self._day, self._used_s = _read(self._path)

    def used_s(self, day: str) -> float:
        """Return the seconds that were used on this day ("2026-11-28")."""
        return self._used_s if day == self._day else 0.0

    def add(self, day: str, duration_s: float) -> None:
        """Count a round; where it cannot be written it counts until the agent ends."""
        self._used_s = self.used_s(day) + duration_s
        self._day = day
        try:
            write_durably(self._path, json.dumps({"day": day, "used_s": self._used_s}).encode("utf-8"))
        except OSError as error:
            _log.warning("%s cannot be written (%s): today's minutes are lost at a restart", self._path, error.strerror)


def _read(path: Path) -> tuple[str, float]:
    try:
        record = json.loads(path.read_bytes())
        return str(record["day"]), float(record["used_s"])
    except FileNotFoundError:
        return "", 0.0
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        _log.warning("%s cannot be read (%s): today's minutes are counted from now", path, error)
        return "", 0.0
