"""What every process does that the controller starts for a model: end with its parent, be bounded, own its stdout."""

from __future__ import annotations

import os
import resource
import threading
import time
from typing import TextIO

from steelyard.errors import EXIT_INTERRUPTED

_MEMORY_SHARE = 0.8
_LOOK_FOR_PARENT_S = 0.5


def end_with_parent() -> None:
    """End this process when its controller was killed: nobody is left to cancel it or to take what it makes."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="end-with-parent", daemon=True).start()


def bound_memory() -> None:
    """Let a model that allocates without end fail here, before the machine of the controller suffers.

    RLIMIT_DATA bounds private writable mappings (Linux 4.7 and later, setrlimit(2)); other systems do not enforce it.
    """
    import psutil

    limit_bytes = int(psutil.virtual_memory().available * _MEMORY_SHARE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit_bytes < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


def own_stdout() -> TextIO:
    """Return the standard output, and send what libraries print to the standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_LOOK_FOR_PARENT_S)
    os._exit(EXIT_INTERRUPTED)
