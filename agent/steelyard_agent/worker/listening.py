"""The supervisor's end of the pipe: reads a worker's answer and the tail of its standard error, both bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from steelyard_agent.worker.codec import result_of
from steelyard_agent.worker.ending import Answer
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

# The longest line is the result: a million samples take about 8 MiB.
LONGEST_LINE_BYTES = 32 * 1024 * 1024
_TAIL_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024


async def read_answer(
    stream: asyncio.StreamReader, answer: Answer, *, on_phase: Callable[[str], None], on_nonsense: Callable[[], None]
) -> None:
    """Read events into ``answer`` until the worker closes the pipe; nonsense is noted once and the rest thrown away.

    ``stream`` must have been opened with the limit ``LONGEST_LINE_BYTES``.
    """
    try:
        while line := await stream.readline():
            _take(line, answer, on_phase)
    except (ValueError, KeyError, TypeError) as error:
        answer.problem = str(error) or type(error).__name__
        on_nonsense()
        while await stream.read(_CHUNK_BYTES):
            pass


async def read_tail(stream: asyncio.StreamReader, tail: bytearray) -> None:
    """Keep the last 16 KiB of a stream in ``tail`` until it ends."""
    while chunk := await stream.read(_CHUNK_BYTES):
        tail += chunk
        del tail[:-_TAIL_BYTES]


def _take(line: bytes, answer: Answer, on_phase: Callable[[str], None]) -> None:
    event = json.loads(line)
    if not isinstance(event, dict):
        raise TypeError(f"an event that is no object: {line[:60]!r}")
    if answer.result is not None or answer.failure is not None:
        raise ValueError(f"more than one answer: {line[:60]!r}")
    match event.get("event"):
        case "phase":
            phase = str(event["phase"])
            if phase not in answer.phases:
                answer.phases.append(phase)
            on_phase(phase)
        case "result":
            answer.result = result_of(event["result"])
        case "failure":
            status = BlockStatus(event["status"])
            if status is BlockStatus.OK:
                raise ValueError("a failure of status OK")
            answer.failure = BlockFailure(status, str(event["reason"]), str(event["message"]))
        case other:
            raise ValueError(f"an event called {other!r}")
