"""What a library's error says, without what means something to its authors only."""

from __future__ import annotations

import re

from steelyard.errors import first_line

# onnxruntime begins with its name, a code and what it did: Load model from /tmp/x.onnx failed: and so on.
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_LOADING = re.compile(r"Load model from .*? failed:\s*")
_STARTING = "Exception during initialization: "
# Where in the source it was thrown, followed by the function with its arguments, and then by what went wrong.
_SOURCE = re.compile(r"\S*/onnxruntime_src/\S+:\d+ ")
_AFTER_ARGUMENTS = re.compile(r"(?: const)?(?:::<lambda\([^)]*\)>)?(?: \[with [^\]]*\])?\s*")


def tool_words(error: BaseException) -> str:
    """Return the first line of a library's error without error codes, paths of ours and places in its source."""
    text = _LOADING.sub("", _CODE.sub("", str(error).strip())).removeprefix(_STARTING)
    source = _SOURCE.search(text)
    behind = _behind_arguments(text[source.end() :]) if source else ""
    if source is not None and behind:
        text = text[: source.start()] + behind
    return first_line(Exception(text)) if text else first_line(error)


def _behind_arguments(text: str) -> str:
    """Return what stands behind a function's arguments, "" where nothing does."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == ")" and depth == 0:
            behind = text[place + 1 :]
            skipped = _AFTER_ARGUMENTS.match(behind)
            return behind[skipped.end() if skipped else 0 :].strip()
    return ""
