"""The compression process: reads one request line, writes events, and leaves its standard output to nobody else."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from steelyard.child import bound_memory, end_with_parent, own_stdout
from steelyard.compress.finished_step import FinishedStep
from steelyard.compress.lack_of_memory import is_lack_of_memory
from steelyard.compress.messages import (
    failure_event,
    measure_event,
    parse_latency,
    parse_request,
    progress_event,
    result_event,
    step_event,
)
from steelyard.errors import EXIT_BUG, EXIT_FINE, EXIT_INFRASTRUCTURE, EXIT_INTERRUPTED, SteelyardError
from steelyard_protocol.v1 import control_pb2

_NO_MEMORY = (
    "this machine has less free memory than the recipe needs; free some, or give a smaller task or model, and run it "
    "again, which goes on behind what is done"
)


def main() -> int:
    """Serve one request; the exit code is that of the error, or 0."""
    end_with_parent()
    events = own_stdout()

    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    try:
        bound_memory()
        emit(_serve(sys.stdin.readline(), emit))
    except SteelyardError as error:
        emit(failure_event(error.reason, str(error), error.exit_code))
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last handler of the process: reported as a bug, not carried on
        traceback.print_exc()
        if is_lack_of_memory(error):
            emit(failure_event("out_of_memory", _NO_MEMORY, EXIT_INFRASTRUCTURE))
            return EXIT_INFRASTRUCTURE
        emit(failure_event("internal", f"{type(error).__name__}: {error}; this is a bug, please report it", EXIT_BUG))
        return EXIT_BUG
    return EXIT_FINE


def _serve(line: str, emit: Any) -> dict[str, Any]:
    from steelyard.compress.learning import Learning
    from steelyard.compress.recipe_text import parse_recipe
    from steelyard.compress.run import Scoring, compress
    from steelyard.compress.scoring_files import read_scoring
    from steelyard.plugins.files import use_file

    request = parse_request(line)
    for path in request.plugin_paths:
        use_file(path)

    def on_step(done: FinishedStep) -> None:
        emit(step_event(done))
        if request.waits:
            sys.stdin.readline()

    result = compress(
        Path(request.model_path),
        parse_recipe(request.recipe_toml),
        calibration=Path(request.calibration_path) if request.calibration_path else None,
        seed=request.seed,
        processor_features=request.processor_features,
        out_dir=Path(request.out_dir),
        progress=lambda message, done, total: emit(progress_event(message, done, total)),
        work_dir=Path(request.work_dir) if request.work_dir else None,
        scoring=Scoring(
            reported=read_scoring(request.reported),
            chosen_by=read_scoring(request.chosen_by),
            known=request.scores(),
        ),
        latency=AskingOracle(emit) if request.measures else None,
        learning=Learning(
            training=read_scoring(request.training),
            artifacts={name: Path(path) for name, path in request.artifacts},
            checkpoints=Path(request.checkpoints) if request.checkpoints else None,
            training_digest=request.training_digest,
            choice_digest=request.choice_digest,
            latency_key=request.latency_key,
        ),
        finished=request.finished_steps(),
        on_step=on_step,
    )
    return result_event(result)


class AskingOracle:
    """Asks the parent process, which measures; it answers in one line, or ends this process."""

    def __init__(self, emit: Any) -> None:
        self._emit = emit

    def measure(self, candidate: Path, reference: Path, what: str) -> control_pb2.StepLatency:
        """Return what ``candidate`` takes beside ``reference``."""
        self._emit(measure_event(candidate, reference, what))
        return parse_latency(sys.stdin.readline())


if __name__ == "__main__":
    sys.exit(main())
