"""What the exceptions of every runtime share: how much of a message is kept, and what a failed inference means.

Each runtime's own ``*_errors`` module knows its texts; ``product`` is what the sentences call the runtime.
"""

from __future__ import annotations

import re

from steelyard_agent.worker.failure import BlockFailure, BlockStatus

_LONGEST_LINE = 240
_OUT_OF_MEMORY = re.compile(r"bad_alloc|bad allocation|failed to allocate|out of memory", re.IGNORECASE)


def shortened(line: str) -> str:
    """Return the line without its full stop, cut where it is too long for a sentence."""
    line = line.rstrip(".")
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 3] + "..."


def memory_failure(text: str, line: str, product: str) -> BlockFailure | None:
    """Return the failure of a message that speaks of memory, else None; ``line`` is what is shown of ``text``."""
    if not _OUT_OF_MEMORY.search(text):
        return None
    return BlockFailure(BlockStatus.OUT_OF_MEMORY, "allocation_failed", f"{product} could not get memory: {line}")


def inference_failure(text: str, line: str, product: str) -> BlockFailure:
    """Return what it means that an inference failed: no memory, or inputs that the model cannot take."""
    return memory_failure(text, line, product) or BlockFailure(
        BlockStatus.USER_ERROR, "inference_failed", f"the model cannot run on these inputs: {line}; check the data"
    )
