"""Run a compression in a process of its own, so that a crash or a lack of memory there ends nothing here."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from steelyard.compress.contract import Progress
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.finished_step import FinishedStep
from steelyard.compress.messages import (
    CompressionRequest,
    LearningFiles,
    ScoringFiles,
    latency_line,
    parse_result,
    parse_step,
)
from steelyard.compress.recipe import Recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import WORK_PREFIX
from steelyard.compress.tools import disk_errors
from steelyard.errors import EXIT_USAGE
from steelyard.plugins.files import paths_in_use
from steelyard_protocol.v1 import control_pb2

OnStep = Callable[[FinishedStep], Awaitable[None]]
# Takes a model, the one that it is measured beside, and what the model is for people.
Measure = Callable[[Path, Path, str], Awaitable[control_pb2.StepLatency]]
_LOGGER = logging.getLogger(__name__)
# A result line holds the lineage, whose recipe a person wrote: far below this.
_MAX_LINE_BYTES = 4 * 1024 * 1024
_KEPT_ERROR_LINES = 20


async def compress_in_process(
    model_path: Path,
    recipe: Recipe,
    *,
    calibration_path: Path | None,
    seed: int,
    processor_features: Collection[str],
    out_dir: Path,
    progress: Progress | None = None,
    reported: ScoringFiles | None = None,
    chosen_by: ScoringFiles | None = None,
    learning: LearningFiles | None = None,
    finished: Sequence[FinishedStep] = (),
    known_scores: Mapping[str, control_pb2.StepEvaluation] | None = None,
    on_step: OnStep | None = None,
    waits: bool = False,
    measure: Measure | None = None,
    interpreter: str = sys.executable,
) -> CompressionResult:
    """Do what ``steelyard.compress.run.compress`` does, in a child process that is killed when this is cancelled.

    The child uses the plugin files that are in use here.

    ``progress`` is called on the event loop; ``on_step`` is awaited there while the next step begins, or with ``waits``
    before it does, and its file is gone with the child. ``measure`` answers steps that ask for a latency, while the
    child waits. Nothing but the finished variant is left in ``out_dir``, however the child ends.

    Raises:
        CompressionInputError: an input that this recipe cannot work with (``reason`` as the child gave it).
        CompressionError: anything else, also a child that was killed.
    """
    work_dir = _make_work_dir(out_dir)
    request = CompressionRequest(
        model_path=str(model_path),
        recipe_toml=recipe.to_toml(),
        out_dir=str(out_dir),
        calibration_path=str(calibration_path) if calibration_path else "",
        seed=seed,
        processor_features=tuple(sorted(processor_features)),
        work_dir=str(work_dir),
        reported=reported,
        chosen_by=chosen_by,
        finished=tuple((str(one.path), json_format.MessageToJson(one.message)) for one in finished),
        known_scores=tuple((digest, json_format.MessageToJson(one)) for digest, one in (known_scores or {}).items()),
        plugin_paths=paths_in_use(),
        **_learning_fields(learning or LearningFiles()),
        waits=waits,
        measures=measure is not None,
    )
    told = _Told(
        progress=progress or (lambda message, done, total: None),
        on_step=on_step or _ignored,
        measure=measure or _unmeasured,
    )
    try:
        return await _run_child(request, interpreter, told)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


def _learning_fields(files: LearningFiles) -> dict[str, Any]:
    return {
        "training": files.training,
        "artifacts": tuple((name, str(path)) for name, path in files.artifacts.items()),
        "checkpoints": str(files.checkpoints or ""),
        "training_digest": files.training_digest,
        "choice_digest": files.choice_digest,
        "latency_key": files.latency_key,
    }


def _make_work_dir(out_dir: Path) -> Path:
    with disk_errors(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=out_dir))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """Who hears what the child says on its way."""

    progress: Progress
    on_step: OnStep
    measure: Measure


async def _ignored(_: FinishedStep) -> None:
    return


async def _unmeasured(_candidate: Path, _reference: Path, what: str) -> control_pb2.StepLatency:
    raise CompressionError("internal", f"the compression process asked for the latency of {what}; please report it")


async def _run_child(request: CompressionRequest, interpreter: str, told: _Told) -> CompressionResult:
    # Quantizers put whole models under TMPDIR: on the disk that the user chose, and removed with the work folder.
    # One thread for numpy's products: the order of sums, and so the bytes, do not hang on the number of cores; and two
    # threads took ten times as long for the small products of learnt rounding on a machine with other work.
    process = await asyncio.create_subprocess_exec(
        interpreter,
        "-P",
        "-m",
        "steelyard.compress",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_MAX_LINE_BYTES,
        env={"OPENBLAS_NUM_THREADS": "1", **os.environ, "TMPDIR": request.work_dir},
    )
    try:
        errors, event = await asyncio.gather(_drain(process), _converse(process, request, told))
        await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return _outcome(request, process.returncode or 0, event, errors)


async def _converse(process: asyncio.subprocess.Process, request: CompressionRequest, told: _Told) -> dict[str, Any]:
    """Send the request, pass on what the child says, and return the last event ({} when there was none).

    Raises:
        CompressionError: internal: the child wrote what is no event.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    await _say(process.stdin, request.to_line())
    if not (request.waits or request.measures):
        process.stdin.close()
    last: dict[str, Any] = {}
    async for line in _lines(process.stdout):
        with _events_only(line):
            event: dict[str, Any] = json.loads(line)
            kind = event["event"]
            counts = (event["message"], int(event["done"]), int(event["total"])) if kind == "progress" else None
            step = parse_step(event) if kind == "step" else None
            asked = (Path(event["candidate"]), Path(event["reference"]), event["what"]) if kind == "measure" else None
        if counts is not None:
            told.progress(*counts)
        elif step is not None:
            await told.on_step(step)
            if request.waits:
                await _say(process.stdin, "\n")
        elif asked is not None:
            await _say(process.stdin, latency_line(await told.measure(*asked)))
        else:
            last = event
    return last


async def _say(stream: asyncio.StreamWriter, line: str) -> None:
    """Write a line to the child; one that died before it read it is told of by its exit code."""
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(line.encode())
        await stream.drain()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield what the child writes, line by line; one that never ends is garbage, too."""
    while True:
        try:
            line = await stream.readline()
        except ValueError as error:
            raise CompressionError(
                "internal",
                f"the compression process wrote a line of more than {_MAX_LINE_BYTES} bytes; please report it",
            ) from error
        if not line:
            return
        yield line


@contextmanager
def _events_only(line: bytes) -> Iterator[None]:
    """Turn what fails inside into a sentence that shows the line."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, json_format.Error) as error:
        text = line[:200].decode("utf-8", "replace").rstrip()
        raise CompressionError(
            "internal", f"the compression process wrote {text!r}, which is no event; please report it"
        ) from error


async def _drain(process: asyncio.subprocess.Process) -> tuple[str, ...]:
    """Return the last lines of the child's standard error."""
    assert process.stderr is not None
    kept: deque[str] = deque(maxlen=_KEPT_ERROR_LINES)
    async for line in process.stderr:
        text = line.decode("utf-8", "replace").rstrip()
        _LOGGER.debug("compression: %s", text)
        kept.append(text)
    return tuple(kept)


def _outcome(
    request: CompressionRequest, exit_code: int, event: dict[str, Any], errors: tuple[str, ...]
) -> CompressionResult:
    if event.get("event") == "result" and exit_code == 0:
        with _events_only(json.dumps(event).encode()):
            return parse_result(event)
    if event.get("event") == "failure":
        kind = CompressionInputError if event["exit_code"] == EXIT_USAGE else CompressionError
        raise kind(event["reason"], event["message"])
    name = Path(request.model_path).name
    if exit_code < 0:
        raise CompressionError(
            "killed",
            f"the compression of {name} was ended by {signal.Signals(-exit_code).name}; if memory ran out, free "
            "some or use a smaller model, then run it again",
        )
    last = errors[-1] if errors else "it wrote nothing"
    raise CompressionError(
        "internal", f"the compression of {name} ended with code {exit_code} and no result ({last}); please report it"
    )
