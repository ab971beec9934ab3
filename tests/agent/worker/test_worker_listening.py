"""The supervisor's ear: events in, nonsense out."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.codec import encode_result
from steelyard_agent.worker.ending import Answer
from steelyard_agent.worker.failure import BlockStatus
from steelyard_agent.worker.listening import read_answer, read_tail

RESULT_LINE = '{"event":"result","result":' + encode_result(WorkerResult(runtime_version="1")) + "}"


async def _hear(content: bytes, limit_bytes: int = 1 << 16) -> tuple[Answer, list[str], int]:
    stream = asyncio.StreamReader(limit=limit_bytes)
    stream.feed_data(content)
    stream.feed_eof()
    answer, phases, nonsense = Answer(), [], []
    await read_answer(stream, answer, on_phase=phases.append, on_nonsense=lambda: nonsense.append(1))
    return answer, phases, len(nonsense)


async def test_phases_and_the_result_are_taken() -> None:
    content = '{"event": "phase", "phase": "imported"}\n' + RESULT_LINE + "\n"
    answer, phases, nonsense_count = await _hear(content.encode())
    assert answer.result == WorkerResult(runtime_version="1")
    assert phases == answer.phases == ["imported"]
    assert nonsense_count == 0


async def test_a_failure_is_taken() -> None:
    event = {"event": "failure", "status": "TIMEOUT", "reason": "r", "message": "m"}
    answer, _, _ = await _hear(json.dumps(event).encode() + b"\n")
    assert answer.failure is not None
    assert (answer.failure.status, answer.failure.reason, str(answer.failure)) == (BlockStatus.TIMEOUT, "r", "m")


@pytest.mark.parametrize(
    "content",
    [
        "hello\n",
        "[1]\n",
        '{"event": "song"}\n',
        '{"event": "phase"}\n',
        '{"event": "result", "result": {}}\n',
        '{"event": "failure", "status": "OK", "reason": "", "message": ""}\n',
        '{"event": "failure", "status": "NICE", "reason": "", "message": ""}\n',
        RESULT_LINE + "\n" + RESULT_LINE + "\n",
        "x" * 5000 + "\n",
        "\xff\n",
    ],
)
async def test_nonsense_is_noted_once_and_the_rest_is_thrown_away(content: str) -> None:
    answer, _, nonsense_count = await _hear(content.encode("latin-1") + b"more\nand more\n", limit_bytes=4096)
    assert answer.problem
    assert nonsense_count == 1


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_bytes_raise(content: bytes) -> None:
    answer, _, _ = asyncio.run(_hear(content))
    assert bool(answer.problem) == bool(content.replace(b"\r", b"x"))


async def test_only_the_tail_of_standard_error_is_kept() -> None:
    stream, tail = asyncio.StreamReader(), bytearray()
    stream.feed_data(b"a" * 100_000 + b"the end")
    stream.feed_eof()
    await read_tail(stream, tail)
    assert len(tail) == 16 * 1024
    assert tail.endswith(b"the end")
