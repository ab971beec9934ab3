"""What the exceptions of a TFLite interpreter mean, in sentences.

All are RuntimeError or ValueError; texts are those of ai-edge-litert 2.3 and tflite-runtime 2.14. ``product`` is what
the sentences call the runtime: "LiteRT 2.3.0".
"""

from __future__ import annotations

import re
from pathlib import Path

from steelyard_agent.runtimes.explained import inference_failure, memory_failure, shortened
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

_UNKNOWN_OP = re.compile(
    r"unresolved custom op: (?P<custom>\S+?)\.|Didn't find op for builtin opcode '(?P<builtin>[^']+)'"
    r"|Op builtin_code out of range: (?P<code>\d+)"
)
_GARBAGE = re.compile(r"not a valid Flatbuffer|model allocation is null|Could not open|identifier", re.IGNORECASE)


def explain_load(error: Exception, model_path: Path, product: str) -> BlockFailure:
    """Return what a failure to make an interpreter or its tensors means."""
    text, name = str(error), model_path.name
    line = _useful_line(text)
    if failure := memory_failure(text, line, product):
        return failure
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
    return inference_failure(str(error), _useful_line(str(error)), product)


def _useful_line(text: str) -> str:
    return shortened(next((line.strip() for line in text.splitlines() if line.strip()), "no reason was given"))
