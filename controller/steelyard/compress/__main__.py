"""The compression process: reads one request line, writes events, and leaves its standard output to nobody else."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from steelyard.compress.messages import failure_event, parse_request, progress_event, result_event
from steelyard.errors import EXIT_BUG, EXIT_FINE, EXIT_INTERRUPTED, SteelyardError

_MEMORY_SHARE = 0.8
_LOOK_FOR_PARENT_S = 0.5


def main() -> int:
    """Serve one request; the exit code is that of the error, or 0."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), name="end-with-parent", daemon=True).start()
    events = _own_stdout()

    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    try:
        _bound_memory()
        emit(_serve(sys.stdin.readline(), emit))
    except SteelyardError as error:
        emit(failure_event(error.reason, str(error), error.exit_code))
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last handler of the process: reported as a bug, not carried on
        traceback.print_exc()
        emit(failure_event("internal", f"{type(error).__name__}: {error}; this is a bug, please report it", EXIT_BUG))
        return EXIT_BUG
    return EXIT_FINE


def _serve(line: str, emit: Any) -> dict[str, Any]:
    from steelyard.compress.recipe_text import parse_recipe
    from steelyard.compress.run import compress

    request = parse_request(line)
    result = compress(
        Path(request.model_path),
        parse_recipe(request.recipe_toml),
        calibration=Path(request.calibration_path).read_bytes() if request.calibration_path else None,
        seed=request.seed,
        processor_features=request.processor_features,
        out_dir=Path(request.out_dir),
        progress=lambda message, done, total: emit(progress_event(message, done, total)),
        work_dir=Path(request.work_dir) if request.work_dir else None,
    )
    return result_event(result)


def _end_with_parent(parent_pid: int) -> None:
    """End this process when its controller was killed: nobody is left to cancel it or to take the variant."""
    while os.getppid() == parent_pid:
        time.sleep(_LOOK_FOR_PARENT_S)
    os._exit(EXIT_INTERRUPTED)


def _bound_memory() -> None:
    """Let a model that allocates without end fail here, before the machine of the controller suffers.

    RLIMIT_DATA bounds private writable mappings (Linux 4.7 and later, setrlimit(2)); other systems do not enforce it.
    """
    import psutil

    limit_bytes = int(psutil.virtual_memory().available * _MEMORY_SHARE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit_bytes < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


def _own_stdout() -> TextIO:
    """Return the standard output, and send what libraries print to the standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


if __name__ == "__main__":
    sys.exit(main())
