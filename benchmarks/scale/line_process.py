"""A process that is asked in lines of JSON on standard input and answers each with one on standard output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

# Latencies of ten thousand agents in one line.
_LINE_BYTES = 16 * 2**20
_END_S = 60.0

Answerer = Callable[..., Awaitable[Any]]


class LineProcessError(Exception):
    """The process died, or did not answer in time."""


class LineProcess:
    """The asking side: ``python -m MODULE WORDS``; its log goes to our standard error. Used from one event loop."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self.name = name

    @classmethod
    async def start(cls, module: str, *words: str) -> LineProcess:
        """Start it; it may be asked at once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        return cls(process, module.rpartition(".")[2])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, what: str, *, timeout_s: float, **more: object) -> Any:
        """Return the answer.

        Raises:
            LineProcessError: There is none, or the process says that it failed.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"ask": what, **more}).encode() + b"\n")
        try:
            line = await asyncio.wait_for(stdout.readline(), timeout_s)
        except asyncio.TimeoutError:
            raise LineProcessError(f"{self.name} did not answer {what!r} within {timeout_s:g} s") from None
        if not line:
            raise LineProcessError(f"{self.name} ended when it was asked {what!r}; its log above says why")
        return json.loads(line)["answer"]

    async def end(self) -> None:
        """Close its input, which ends it; one that does not end is killed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()


async def answer_lines(answerers: Mapping[str, Answerer]) -> None:
    """Answer what comes on standard input until its end; an exception of an answerer ends the process."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        question = json.loads(line)
        answer = await answerers[question.pop("ask")](**question)
        sys.stdout.write(json.dumps({"answer": answer}) + "\n")
        sys.stdout.flush()
