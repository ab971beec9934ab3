"""What OpenVINO's exceptions mean, in sentences. All are RuntimeError; texts are those of 2026.4."""

from __future__ import annotations

import re
from pathlib import Path

from steelyard_agent.runtimes.explained import inference_failure, memory_failure, shortened
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

_UNKNOWN_OP = re.compile(
    r"No conversion rule found for operations: (?P<onnx>\S+)|No translator found for (?P<tflite>\S+) node"
)
_GARBAGE = re.compile(r"Unable to read the model|can't be parsed|corrupted or malformed|GeneralFailure", re.IGNORECASE)
_BAD_OPTION = re.compile(r"Unsupported property|Wrong value|NotFound: |Incorrect value|Invalid value", re.IGNORECASE)
_PRODUCT = "OpenVINO"
# Where in its own sources something was thrown, before the line that says what.
_PLACE = re.compile(r"^(Exception from |Check '.*' failed at |FrontEnd API failed|Model wasn't fully|Summary:|$)")


def useful_line(text: str) -> str:
    """Return the line of an OpenVINO message that says what is wrong."""
    lines = [line.strip().removeprefix("-- ") for line in text.splitlines() if not _PLACE.match(line.strip())]
    return shortened(lines[0] if lines else "no reason was given")


def explain_load(error: Exception, model_path: Path, version: str, device: str) -> BlockFailure:
    """Return what a failure to read or compile a model means."""
    text, name = str(error), model_path.name
    line = useful_line(text)
    if failure := memory_failure(text, line, _PRODUCT):
        return failure
    if found := _UNKNOWN_OP.search(text):
        op = found["onnx"] or found["tflite"]
        return BlockFailure(
            BlockStatus.UNSUPPORTED, "unsupported_op", f"OpenVINO {version} cannot run the op {op} of {name}: {line}"
        )
    if _BAD_OPTION.search(text):
        return BlockFailure(BlockStatus.USER_ERROR, "bad_option", f"OpenVINO's {device} refuses an option: {line}")
    if _GARBAGE.search(text):
        message = f"{name} ({model_path.stat().st_size} bytes) is no model that OpenVINO reads, or not all of one"
        return BlockFailure(BlockStatus.INVALID_MODEL, "invalid_model", f"{message}: {line}; export or copy it again")
    return BlockFailure(
        BlockStatus.INVALID_MODEL, "invalid_model", f"OpenVINO {version} cannot load {name} on {device}: {line}"
    )


def explain_run(error: Exception) -> BlockFailure | None:
    """Return what a failure of an inference means; None when the exception is not the runtime's."""
    if not isinstance(error, RuntimeError):
        return None
    return inference_failure(str(error), useful_line(str(error)), _PRODUCT)
