"""What the exceptions of a TFLite interpreter mean, in sentences.

All are RuntimeError or ValueError; texts are those of ai-edge-litert 2.3 and tflite-runtime 2.14. ``product`` is what
the sentences call the runtime: "LiteRT 2.3.0".
"""

from __future__ import annotations

import re
from pathlib import Path

from steelyard_agent.worker.failure import BlockFailure, BlockStatus

_LONGEST_LINE = 240
_UNKNOWN_OP = re.compile(
    r"unresolved custom op: (?P<custom>\S+?)\.|Didn't find op for builtin opcode '(?P<builtin>[^']+)'"
    r"|Op builtin_code out of range: (?P<code>\d+)"
)
_GARBAGE = re.compile(r"not a valid Flatbuffer|model allocation is null|Could not open|identifier", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"bad_alloc|failed to allocate|out of memory", re.IGNORECASE)


def explain_load(error: Exception, model_path: Path, product: str) -> BlockFailure:
    """Return what a failure to make an interpreter or its tensors means."""
    text, name = str(error), model_path.name
    line = _useful_line(text)
    if _OUT_OF_MEMORY.search(text):
        return _out_of_memory(product, line)
    if found := _UNKNOWN_OP.search(text):
        op = found["custom"] or found["builtin"] or f"number {found['code']}"
        return BlockFailure(
            BlockStatus.UNSUPPORTED, "unsupported_op", f"{product} cannot run the op {op} of {name}: {line}"
        )
    if _GARBAGE.search(text):
        message = f"{name} ({model_path.stat().st_size} bytes) is no .tflite model, or not all of one: {line}"
        return BlockFailure(BlockStatus.INVALID_MODEL, "invalid_model", f"{message}; export or copy it again")
    return BlockFailure(BlockStatus.INVALID_MODEL, "invalid_model", f"{product} cannot load {name}: {line}")


def explain_run(error: Exception, product: str) -> BlockFailure | None:
    """Return what a failure of an inference means; None when the exception is not the runtime's."""
    if not isinstance(error, (RuntimeError, ValueError)):
        return None
    line = _useful_line(str(error))
    if _OUT_OF_MEMORY.search(str(error)):
        return _out_of_memory(product, line)
    return BlockFailure(
        BlockStatus.USER_ERROR, "inference_failed", f"the model cannot run on these inputs: {line}; check the data"
    )


def _useful_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no reason was given").rstrip(".")
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 3] + "..."


def _out_of_memory(product: str, line: str) -> BlockFailure:
    return BlockFailure(BlockStatus.OUT_OF_MEMORY, "allocation_failed", f"{product} could not get memory: {line}")
