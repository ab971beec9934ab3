"""What this device does where a plan leaves it open; changed by ``doctor --fix`` only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.cores import CoreSelection
from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.errors import StateError

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """``core_selection`` is where workers are pinned when a plan names no cores, None for nowhere."""

    core_selection: CoreSelection | None = None


def read_settings(state_root: Path) -> DeviceSettings:
    """Return the settings kept in a state directory, the defaults where there are none.

    Raises:
        StateError: The file is not what this agent wrote.
    """
    path = state_root / SETTINGS_FILE
    try:
        return _settings(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return DeviceSettings()
    except (OSError, ValueError, RecursionError) as error:
        raise StateError("bad_settings", f"{path} cannot be read ({error}); remove it for the defaults") from error


def write_settings(state_root: Path, settings: DeviceSettings) -> None:
    """Keep the settings; the state directory is made where it is missing.

    Raises:
        StateError: The file cannot be written; the former settings stay.
    """
    path = state_root / SETTINGS_FILE
    selection = settings.core_selection.value if settings.core_selection is not None else None
    try:
        state_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, json.dumps({"core_selection": selection}).encode("utf-8"))
    except OSError as error:
        raise StateError(
            "state_directory_unusable",
            f"{path} cannot be written ({error.strerror}); choose another folder with --state-directory",
        ) from error


def _settings(record: object) -> DeviceSettings:
    if not isinstance(record, dict) or set(record) != {"core_selection"}:
        raise ValueError("its keys are not those of this version")
    selection = record["core_selection"]
    return DeviceSettings(core_selection=None if selection is None else CoreSelection(selection))
