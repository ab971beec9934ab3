"""The worker process: reads one block from standard input, runs it, answers on standard output, ends.

Whatever is not understood as an end of a block goes up as a traceback on standard error and a non-zero exit status: the
supervisor reports it as INTERNAL.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace

from steelyard_agent.worker import birth
from steelyard_agent.worker.block import KIND_ROOFLINE, Block, WorkerResult
from steelyard_agent.worker.codec import decode_block
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.pipe import AnswerPipe, read_block_line, take_over_stdout


def main() -> None:
    """Answer one block."""
    start_ns = birth.process_start_ns(os.environ, birth.now_ns())
    pipe = take_over_stdout()
    birth.die_with_supervisor(os.environ)
    birth.offer_to_oom_killer()
    try:
        pipe.result(replace(_run(_read(), pipe), process_start_ns=start_ns))
    except BlockFailure as failure:
        pipe.failure(failure)
    except MemoryError:
        pipe.failure(
            BlockFailure(BlockStatus.OUT_OF_MEMORY, "allocation_failed", "the worker could not get the memory it needs")
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        pipe.failure(
            BlockFailure(
                BlockStatus.DISK_FULL, "disk_full", f"no space left for {error.filename or 'a file'}; free some space"
            )
        )


def _read() -> Block:
    try:
        block = decode_block(read_block_line(sys.stdin))
    except ValueError as error:
        raise BlockFailure(BlockStatus.INTERNAL, "bad_block", f"the worker was given no block: {error}") from error
    birth.watch_stdin()
    return block


def _run(block: Block, pipe: AnswerPipe) -> WorkerResult:
    # Before anything that makes threads is imported, numpy included.
    note = birth.pin(block.core_ids)
    if block.kind == KIND_ROOFLINE:
        from steelyard_agent.worker.roofline import run_roofline

        return run_roofline(block, pipe.phase)
    begun_ns = birth.now_ns()
    from steelyard_agent.worker.blocks import run_block
    from steelyard_agent.worker.opening import open_runtime

    return run_block(open_runtime(block, pipe.phase, note=note, begun_ns=begun_ns))


if __name__ == "__main__":
    main()
