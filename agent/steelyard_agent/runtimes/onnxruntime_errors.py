"""What ONNX Runtime's exceptions mean, in sentences. They come without classes of their own to tell causes apart.

Texts are those of onnxruntime 1.20 to 1.32; a text that is not known keeps its useful line.
"""

from __future__ import annotations

import re
from pathlib import Path

from steelyard_agent.runtimes.explained import inference_failure, memory_failure, shortened
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

# A protobuf message of 2 GiB or more cannot be parsed.
LARGEST_PROTOBUF_BYTES = (1 << 31) - 1

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_LOADING = re.compile(r"^Load model from .* failed:\s*")
_SOURCE_LINE = re.compile(r"\S+\.(?:cc|h|cpp):\d+ \S+(?: \[[^\]]*\])? ?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_UNKNOWN_OPS = (
    re.compile(r"No Op registered for (?P<op>\S+)"),
    re.compile(r"error: (?P<op>\S+?)\(-?\d+\) is not a registered function/op"),
    re.compile(r"Could not find an implementation for (?P<op>[^\s(]+(?:\(\d+\))?)"),
)
_TOO_NEW = re.compile(r"Unsupported model IR version|only \*guarantees\* support|is under development", re.IGNORECASE)
_PRODUCT = "ONNX Runtime"
_EXTERNAL = re.compile(r"external data|External initializer|GetFileLength for|cannot get file size", re.IGNORECASE)
_QUOTED = re.compile(r"""["'\[](?P<path>[^"'\[\]]+)["'\]]""")
_NO_CPU = "explicitly disabled by the user"
_GARBAGE = re.compile(
    r"Protobuf parsing failed|No graph was found|flatbuffer|ModelProto does not have a graph", re.IGNORECASE
)


def useful_line(text: str) -> str:
    """Return the line of an ONNX Runtime message that says what is wrong."""
    text = _COLOUR.sub("", text).strip()
    text = _LOADING.sub("", _PREFIX.sub("", text))
    return shortened(_SOURCE_LINE.sub("", text.splitlines()[0] if text else "").strip())


def explain_load(error: Exception, model_path: Path, version: str, provider: str) -> BlockFailure | None:
    """Return what a failure to create a session means; None when the exception is not the runtime's."""
    # Bad provider options come as a ValueError of the Python wrapper.
    if not (_is_of_runtime(error) or isinstance(error, ValueError)):
        return None
    text, name = str(error), model_path.name
    line = useful_line(text)
    if failure := memory_failure(text, line, _PRODUCT):
        return failure
    if _NO_CPU in text:
        return BlockFailure(
            BlockStatus.FALLBACK,
            "provider_fallback",
            f"{provider} cannot run all of {name}, part would fall back to the CPU; "
            "--allow-fallback measures it all the same",
        )
    return (
        _unsupported(text, name, line, version)
        or _external_data(text, name, line)
        or _invalid(text, model_path, line, version)
    )


def explain_run(error: Exception) -> BlockFailure | None:
    """Return what a failure of an inference means; None when the exception is not the runtime's."""
    if not _is_of_runtime(error):
        return None
    return inference_failure(str(error), useful_line(str(error)), _PRODUCT)


def _is_of_runtime(error: Exception) -> bool:
    return type(error).__module__.startswith("onnxruntime") or isinstance(error, RuntimeError)


def _unsupported(text: str, name: str, line: str, version: str) -> BlockFailure | None:
    for pattern in _UNKNOWN_OPS:
        if found := pattern.search(text):
            return BlockFailure(
                BlockStatus.UNSUPPORTED,
                "unsupported_op",
                f"ONNX Runtime {version} cannot run the op {found['op']} of {name}: {line}",
            )
    if _TOO_NEW.search(text):
        return BlockFailure(
            BlockStatus.UNSUPPORTED, "model_too_new", f"{name} is newer than ONNX Runtime {version} reads: {line}"
        )
    return None


def _external_data(text: str, name: str, line: str) -> BlockFailure | None:
    if not _EXTERNAL.search(text):
        return None
    files = [found["path"] for found in _QUOTED.finditer(text)]
    missing = [path for path in files if path != "ONNXRuntimeError" and not path.endswith(".onnx")]
    what = (
        f"the file {Path(missing[-1]).name} that holds weights of {name}" if missing else f"weights of {name}: {line}"
    )
    return BlockFailure(
        BlockStatus.INVALID_MODEL,
        "external_data_missing",
        f"cannot read {what}; copy it beside the model or save the model in one file",
    )


def _invalid(text: str, model_path: Path, line: str, version: str) -> BlockFailure:
    name = model_path.name
    if _GARBAGE.search(text):
        message = (
            f"{name} ({model_path.stat().st_size} bytes) is no ONNX model, or not all of one: {line}; "
            "export or copy it again"
        )
    else:
        message = f"ONNX Runtime {version} cannot load {name}: {line}"
    return BlockFailure(BlockStatus.INVALID_MODEL, "invalid_model", message)
