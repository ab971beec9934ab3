"""The truth of a task as the bytes of its labels blob, and back: arrays of numbers as they are, texts as UTF-8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import read_npz, write_npz

# A text array NAME [N] is stored as NAME.utf8, the bytes of all texts, and NAME.ends int64 [N], where each one ends.
_UTF8 = ".utf8"
_ENDS = ".ends"
_WHAT = "the truth of the task"


def pack_truth(truth: Mapping[str, NDArray[Any]]) -> bytes:
    """Return .npz bytes of the arrays; the same arrays give the same bytes.

    Raises:
        TaskError: an array that holds neither numbers nor texts.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in truth.items():
        if array.dtype.kind != "U":
            arrays[name] = array
            continue
        texts = [str(one).encode("utf-8") for one in array.ravel()]
        arrays[name + _UTF8] = np.frombuffer(b"".join(texts), dtype=np.uint8)
        arrays[name + _ENDS] = np.cumsum([len(one) for one in texts], dtype=np.int64)
    return write_npz(arrays)


def unpack_truth(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays that ``pack_truth`` was given; texts as str [N].

    Raises:
        TaskError: bytes that it did not make.
    """
    arrays = read_npz(content, what=_WHAT)
    truth = {name: array for name, array in arrays.items() if not name.endswith((_UTF8, _ENDS))}
    for name in arrays:
        if name.endswith(_ENDS):
            text_name = name.removesuffix(_ENDS)
            truth[text_name] = _texts(arrays.get(text_name + _UTF8), arrays[name], text_name)
    return truth


def _texts(content: NDArray[Any] | None, ends: NDArray[Any], name: str) -> NDArray[np.str_]:
    if content is None or content.dtype != np.uint8 or content.ndim != 1 or ends.dtype != np.int64 or ends.ndim != 1:
        raise TaskError("invalid_truth", f"{_WHAT}: {name!r} holds no texts; make the task again")
    starts = np.concatenate(([0], ends[:-1])) if ends.size else ends
    if np.any(ends < starts) or (ends.size and int(ends[-1]) != content.size) or np.any(starts < 0):
        raise TaskError("invalid_truth", f"{_WHAT}: the texts {name!r} end where there is nothing; make the task again")
    data = content.tobytes()
    try:
        texts = [data[start:end].decode("utf-8") for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    except UnicodeDecodeError as error:
        raise TaskError("invalid_truth", f"{_WHAT}: the texts {name!r} are no UTF-8; make the task again") from error
    return np.array(texts, dtype=np.str_)
