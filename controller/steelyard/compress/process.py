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
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from steelyard.compress.contract import Progress
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.messages import CompressionRequest, parse_result
from steelyard.compress.recipe import Recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import WORK_PREFIX
from steelyard.compress.tools import disk_errors
from steelyard.errors import EXIT_USAGE

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
    interpreter: str = sys.executable,
) -> CompressionResult:
    """Do what ``steelyard.compress.run.compress`` does, in a child process that is killed when this is cancelled.

    ``progress`` is called on the event loop. Nothing but the finished variant is left in ``out_dir``, however the
    child ends.

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
    )
    try:
        return await _run_child(request, interpreter, progress or (lambda message, done, total: None))
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


def _make_work_dir(out_dir: Path) -> Path:
    with disk_errors(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=out_dir))


async def _run_child(request: CompressionRequest, interpreter: str, progress: Progress) -> CompressionResult:
    # Quantizers put whole models under TMPDIR: on the disk that the user chose, and removed with the work folder.
    process = await asyncio.create_subprocess_exec(
        interpreter,
        "-P",
        "-m",
        "steelyard.compress",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_MAX_LINE_BYTES,
        env={**os.environ, "TMPDIR": request.work_dir},
    )
    try:
        errors, event = await asyncio.gather(_drain(process), _converse(process, request, progress))
        await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return _outcome(request, process.returncode or 0, event, errors)


async def _converse(
    process: asyncio.subprocess.Process, request: CompressionRequest, progress: Progress
) -> dict[str, Any]:
    """Send the request, pass progress on, and return the last event ({} when there was none)."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # the child died before it read: its exit code tells
        process.stdin.write(request.to_line().encode())
        await process.stdin.drain()
    process.stdin.close()
    last: dict[str, Any] = {}
    async for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress":
            progress(event["message"], event["done"], event["total"])
        else:
            last = event
    return last


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
