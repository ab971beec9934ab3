"""The worker's end of the pipe: JSON lines on a descriptor of its own. Standard library only."""

from __future__ import annotations

import json
import os
from typing import BinaryIO, TextIO

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.codec import encode_result
from steelyard_agent.worker.failure import BlockFailure

# A block is some kilobytes; more than this is no block.
_LONGEST_BLOCK_BYTES = 4 * 1024 * 1024


class AnswerPipe:
    """Writes the worker's answers; whatever else prints goes to standard error."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def phase(self, name: str) -> None:
        """Say that a phase begins; called only at phase boundaries, outside every timed window."""
        self._write(json.dumps({"event": "phase", "phase": name}))

    def result(self, result: WorkerResult) -> None:
        """Answer with what was measured."""
        self._write('{"event":"result","result":' + encode_result(result) + "}")

    def failure(self, failure: BlockFailure) -> None:
        """Answer with how the block ended."""
        self._write(
            json.dumps(
                {
                    "event": "failure",
                    "status": failure.status.value,
                    "reason": failure.reason,
                    "message": str(failure),
                }
            )
        )

    def _write(self, line: str) -> None:
        self._stream.write(line.encode() + b"\n")
        self._stream.flush()


def take_over_stdout() -> AnswerPipe:
    """Keep standard output for answers and send everything that prints to it to standard error.

    Native libraries write to descriptor 1 directly, so the descriptor itself is redirected; this must happen before a
    runtime is imported.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    return AnswerPipe(os.fdopen(answers, "wb"))


def read_block_line(stream: TextIO) -> str:
    """Return the one line that a supervisor writes.

    Raises:
        ValueError: the supervisor closed the pipe before a whole line, or the line is too long to be a block.
    """
    line = stream.readline(_LONGEST_BLOCK_BYTES)
    if not line.endswith("\n"):
        raise ValueError(f"{len(line)} characters without an end of line came instead of a block")
    return line
