"""Who uses a controller that ends with its command: guests hold a shared lock, and the host waits for the last one.

flock(2), as ``steelyard.store.lock``: the kernel lets go of a killed guest's lock. Without it a command that was served
by another command's controller would lose that controller, and its job, in the middle.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from steelyard.errors import UsageError

GUESTS_NAME = "guests.lock"
_LOOK_S = 0.05


class GuestLock:
    """One descriptor of the guests' lock of a state directory that exists."""

    def __init__(self, state_directory: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        """Open the lock's file.

        Raises:
            UsageError: ``state_directory_unusable``.
        """
        try:
            self._descriptor = os.open(state_directory / GUESTS_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(
                "state_directory_unusable",
                f"{state_directory / GUESTS_NAME} cannot be opened ({error.strerror}); remove it, or name another "
                "directory with --state-directory",
            ) from error
        self._sleep = sleep

    def try_enter(self) -> bool:
        """Become a guest; False while a host is leaving."""
        return self._try(fcntl.LOCK_SH)

    def try_leave(self) -> bool:
        """Let nobody in any more, as the host; False while guests are here."""
        return self._try(fcntl.LOCK_EX)

    def wait_for_guests(self) -> None:
        """Return when the last guest is gone and no other can come."""
        while not self.try_leave():
            self._sleep(_LOOK_S)

    def release(self) -> None:
        """Let go. A second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self._descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
