"""The state directory: one folder of one agent, locked while that agent runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.state.durable import remove_tree
from steelyard_agent.state.errors import StateError, StateLockedError


def default_state_directory(environ: Mapping[str, str], home: Path) -> Path:
    """Return ``$XDG_STATE_HOME/steelyard-agent``, or ``~/.local/state/steelyard-agent`` where that is not set."""
    base = environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    folder = Path(base) if base and Path(base).is_absolute() else home / ".local" / "state"
    return folder / "steelyard-agent"


@dataclass(slots=True, kw_only=True)
class StateDirectory:
    """The folders of an agent that holds its lock; ``close`` lets go, and so does the death of the process."""

    root: Path
    _lock_descriptor: int

    @property
    def identity_file(self) -> Path:
        """Who the device is, and its last fencing epoch."""
        return self.root / "device.json"

    @property
    def blobs(self) -> Path:
        """Models and data, by digest."""
        return self.root / "blobs"

    @property
    def outbox(self) -> Path:
        """Rounds that no controller has acknowledged."""
        return self.root / "outbox"

    @property
    def work(self) -> Path:
        """Files of the block that runs now; emptied at every start."""
        return self.root / "work"

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1


def crash_folder(root: Path) -> Path:
    """Return the folder of crash reports of a state directory; it may be written without the lock."""
    return root / "crashes"


def open_state_directory(root: Path) -> StateDirectory:
    """Make the directory (0700), take its lock, and clean up what a killed agent left behind.

    Raises:
        StateLockedError: Another agent runs here; the sentence names its pid.
        StateError: The directory cannot be made or written.
    """
    # Absolute, because workers run in another folder.
    root = root.absolute()
    make_state_root(root)
    try:
        state = StateDirectory(root=root, _lock_descriptor=_take_lock(root))
    except OSError as error:
        raise _unusable(root, error) from error
    # A stop empties it: only what was killed leaves something behind.
    if state.work.exists() and any(state.work.iterdir()):
        remove_tree(state.work)
    for folder in (state.blobs, state.outbox, state.work):
        folder.mkdir(mode=0o700, exist_ok=True)
    return state


def make_state_root(root: Path) -> None:
    """Make a state directory (0700) where there is none; its lock is not taken.

    Raises:
        StateError: It cannot be made.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
    except OSError as error:
        raise _unusable(root, error) from error


def _unusable(root: Path, error: OSError) -> StateError:
    return StateError(
        "state_directory_unusable",
        f"the state directory {root} cannot be used ({error.strerror}); choose another with --state-directory",
    )


def _take_lock(root: Path) -> int:
    path = root / "agent.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateLockedError(
            "state_directory_locked",
            f"another agent (pid {_holder(path)}) works on {root}; stop it, or give this one its own --state-directory",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
    return descriptor


def _holder(path: Path) -> str:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    # Empty for the moment between the holder's flock and its write.
    return text if text.isdigit() else "unknown"
