"""One controller for one state directory: a lock that ends with its process and says who holds it."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from steelyard.errors import SteelyardError, UsageError
from steelyard.store.errors import StoreError

LOCK_NAME = "controller.lock"

# ``lock_holder`` may hold a shared lock for some microseconds; a real holder keeps it for longer than this.
_TRY_COUNT = 10
_TRY_INTERVAL_S = 0.02
_MAX_RECORD_BYTES = 64 * 1024


class StateLockedError(SteelyardError):
    """Another process is the controller of this state directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who is the controller of a state directory, and where it is to be found."""

    pid: int
    # UTC, ISO 8601.
    started: str
    # Path of the control socket, "" until it is bound.
    socket: str
    # "127.0.0.1:7433", "" until it is bound.
    agent_address: str
    # True when a single command holds the lock, not `steelyard serve`.
    temporary: bool

    def __post_init__(self) -> None:
        """Refuse a record that no controller wrote."""
        texts = (self.started, self.socket, self.agent_address)
        if type(self.pid) is not int or self.pid < 1 or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"pid {self.pid!r}, {texts!r} are not a holder")


class StateLock:
    """The right to be the controller of a state directory, until ``release`` or the death of this process.

    flock(2): the kernel lets go when the last descriptor is closed, so a killed controller leaves no lock. Programs
    started from here do not inherit it. The file stays when the lock is gone; removing it would race.
    """

    def __init__(
        self,
        state_directory: Path,
        *,
        socket: str = "",
        agent_address: str = "",
        temporary: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; ``acquire`` takes the lock. The other arguments are what ``Holder`` will say."""
        self.state_directory = state_directory
        self._socket = socket
        self._agent_address = agent_address
        self._temporary = temporary
        self._sleep = sleep
        self._descriptor: int | None = None
        self._started = ""

    def acquire(self) -> None:
        """Become the controller of the state directory, which is made (0700) when it is missing.

        Waits 0.2 s at most, for somebody who only looks.

        Raises:
            StateLockedError: ``state_locked``; the sentence names the holder's process.
            UsageError: ``state_directory_unusable``.
            StoreError: ``lock_unsupported`` on a file system without flock, ``state_directory_full``.
        """
        descriptor = _open(self.state_directory)
        try:
            _lock(descriptor, self.state_directory, self._sleep)
            self._started = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
            self._record(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def publish(self, *, socket: str, agent_address: str) -> None:
        """Say where this controller is to be found, once its ports are bound."""
        if self._descriptor is None:
            raise StoreError("lock_released", f"the lock on {self.state_directory} is not held; acquire it first")
        self._socket, self._agent_address = socket, agent_address
        self._record(self._descriptor)

    def release(self) -> None:
        """Let go. A second time does nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _record(self, descriptor: int) -> None:
        try:
            _write(descriptor, self._holder())
        except OSError as error:
            raise StoreError(
                "state_directory_full",
                f"the state directory {self.state_directory} cannot be written ({error.strerror}); free space on its "
                "disk, or name another with --state-directory",
            ) from error

    def _holder(self) -> Holder:
        return Holder(
            pid=os.getpid(),
            started=self._started,
            socket=self._socket,
            agent_address=self._agent_address,
            temporary=self._temporary,
        )


def lock_holder(state_directory: Path) -> Holder | None:
    """Say who is the controller of a state directory, or None; makes nothing and keeps nothing.

    Raises:
        UsageError: ``state_directory_unusable`` when the file is there but not for this user.
    """
    try:
        descriptor = os.open(state_directory / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(state_directory, error) from error
    try:
        recorded = _read(descriptor)
        # A killed controller leaves its record, and its pid may be another process by now: the lock decides.
        if recorded is None or _try_lock(descriptor, fcntl.LOCK_SH, state_directory):
            return None
    except OSError as error:
        # A folder where the file should be, or a disk that fails.
        raise _unusable(state_directory, error) from error
    else:
        return recorded
    finally:
        os.close(descriptor)


def _open(state_directory: Path) -> int:
    try:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(state_directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(state_directory, error) from error


def _lock(descriptor: int, state_directory: Path, sleep: Callable[[float], None]) -> None:
    for _ in range(_TRY_COUNT):
        if _try_lock(descriptor, fcntl.LOCK_EX, state_directory):
            return
        sleep(_TRY_INTERVAL_S)
    raise _locked(state_directory, _read(descriptor))


def _try_lock(descriptor: int, operation: int, state_directory: Path) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise StoreError(
            "lock_unsupported",
            f"the file system of {state_directory} has no locks ({error.strerror}); "
            "name a state directory on a local disk",
        ) from error
    return True


def _write(descriptor: int, holder: Holder) -> None:
    # One line in one write: a reader takes the first line, so the rest of a longer one before it does no harm.
    record = json.dumps(asdict(holder)).encode() + b"\n"
    os.pwrite(descriptor, record, 0)
    os.ftruncate(descriptor, len(record))


def _read(descriptor: int) -> Holder | None:
    line = os.pread(descriptor, _MAX_RECORD_BYTES, 0).partition(b"\n")[0]
    try:
        return Holder(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _locked(state_directory: Path, holder: Holder | None) -> StateLockedError:
    if holder is None:
        who = "another process"
    else:
        command = "a steelyard command" if holder.temporary else "`steelyard serve`"
        who = f"process {holder.pid} ({command}, since {holder.started})"
    return StateLockedError(
        "state_locked",
        f"{who} is the controller of {state_directory}; use that one, wait until it ends, "
        "or name another directory with --state-directory",
    )


def _unusable(state_directory: Path, error: OSError) -> UsageError:
    return UsageError(
        "state_directory_unusable",
        f"the state directory {state_directory} cannot be used ({error.strerror}); "
        "name one that this user can write with --state-directory",
    )
