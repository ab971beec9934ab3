"""The controller's own run of a model, in a child process: a crash or a lack of memory there ends nothing here."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress

from steelyard.errors import first_line
from steelyard.numeric.messages import ReferenceAnswer, ReferenceRequest, parse_answer

# Some inferences of one model, each of which may take a minute of one core.
_LIMIT_S = 600.0
_MOST_WORDS = 200


async def run_here(
    request: ReferenceRequest, *, interpreter: str = sys.executable, limit_s: float = _LIMIT_S
) -> ReferenceAnswer:
    """Run a model in a child process that is killed when this is cancelled; its outputs lie at ``out_path`` then.

    Whatever goes wrong there is the answer's reason.
    """
    process = await asyncio.create_subprocess_exec(
        interpreter,
        *("-P", "-m", "steelyard.numeric"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        # Not wait_for: before Python 3.12 it may swallow that the job is cancelled.
        async with asyncio.timeout(limit_s):
            said, errors = await process.communicate(request.to_line().encode())
    except asyncio.TimeoutError:
        return ReferenceAnswer(reason=f"the controller's own run did not end within {limit_s:.0f} s")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return _answer(said, process.returncode or 0, errors)


def _answer(said: bytes, exit_code: int, errors: bytes) -> ReferenceAnswer:
    if exit_code < 0:
        return ReferenceAnswer(reason=f"the controller's own run was ended by {signal.Signals(-exit_code).name}")
    try:
        return parse_answer(said.decode())
    except ValueError:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        last = first_line(ValueError(lines[-1] if lines else "it wrote nothing"))[:_MOST_WORDS]
        return ReferenceAnswer(reason=f"the controller's own run ended with code {exit_code}: {last}")
