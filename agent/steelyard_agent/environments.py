"""Runtime environments: other Python interpreters of this device that workers may run under.

They stand in ``environments.toml`` in the state directory, each as ``[environment.NAME]`` with the interpreter's path::

    [environment.tflite]
    python = "/opt/tflite/bin/python"
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.errors import UsageError
from steelyard_agent.profiles.toml_text import toml_string, tomllib
from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.errors import StateError

_FILE_NAME = "environments.toml"
# A name stands behind an "@" on the controller's command line, and in results.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_LARGEST_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEnvironment:
    """An interpreter by a name of the user's; ``python`` is absolute and not resolved: a venv's is a link."""

    name: str
    python: Path

    def __post_init__(self) -> None:
        """Refuse a name or a path that could not be asked for again."""
        if _NAME.fullmatch(self.name) is None:
            raise UsageError(
                "invalid_environment_name",
                f"the environment's name {self.name[:80]!r} is not 1 to 40 of a-z, 0-9, '.', '_' and '-', as in "
                "'tflite'; choose another",
            )
        if not self.python.is_absolute() or not str(self.python).isprintable():
            raise UsageError(
                "invalid_interpreter_path",
                f"the interpreter {str(self.python)[:200]!r} of environment {self.name!r} is not an absolute path; "
                "correct it",
            )


def read_environments(state_root: Path) -> tuple[RuntimeEnvironment, ...]:
    """Return the environments of a state directory by name; none when nothing was ever added.

    Raises:
        StateError: The file cannot be read or is not what ``write_environments`` writes; the sentence names the key.
    """
    path = state_root / _FILE_NAME
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise _broken(path, "it is too large")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _broken(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from error
    return tuple(_environment(path, name, tables["environment"][name]) for name in _names(path, tables))


def write_environments(state_root: Path, environments: Sequence[RuntimeEnvironment]) -> None:
    """Replace the file, at once or not at all; makes the state directory where there is none.

    Raises:
        StateError: It cannot be written.
    """
    tables = [
        f"[environment.{toml_string(one.name)}]\npython = {toml_string(str(one.python))}\n"
        for one in sorted(environments, key=lambda one: one.name)
    ]
    try:
        state_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(state_root / _FILE_NAME, "\n".join(tables).encode())
    except OSError as error:
        raise _not_written(state_root, error) from error


@contextmanager
def environments_locked(state_root: Path) -> Iterator[None]:
    """Keep other commands from changing the file meanwhile; makes the state directory where there is none.

    Raises:
        StateError: It cannot be written.
    """
    try:
        state_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder itself is the lock: a running agent's own lock is a file in it.
        descriptor = os.open(state_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_written(state_root, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _names(path: Path, tables: dict[str, object]) -> list[str]:
    if unknown := sorted(set(tables) - {"environment"}):
        raise _broken(path, f"it has the key {unknown[0]!r}")
    named = tables.get("environment", {})
    if not isinstance(named, dict):
        raise _broken(path, "'environment' is no table")
    return sorted(named)


def _environment(path: Path, name: str, table: object) -> RuntimeEnvironment:
    if not isinstance(table, dict) or set(table) != {"python"} or not isinstance(table["python"], str):
        raise _broken(path, f'[environment.{name}] must have python = "/path" and nothing else')
    try:
        return RuntimeEnvironment(name=name, python=Path(table["python"]))
    except UsageError as error:
        raise _broken(path, str(error)) from error


def _not_written(state_root: Path, error: OSError) -> StateError:
    return StateError(
        "environments_not_written",
        f"{state_root / _FILE_NAME} cannot be written ({error.strerror}); choose another --state-directory",
    )


def _broken(path: Path, what: str) -> StateError:
    return StateError(
        "environments_unreadable",
        f"{path} cannot be used: {what}; correct it, or remove it and add the environments again",
    )
