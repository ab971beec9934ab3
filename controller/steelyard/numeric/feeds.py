"""The inputs of a numeric check as .npz bytes, made here once so that every device gets the same ones.

From a task: its first samples, as they are stored. Drawn samples look the same; where an input is no stack of samples
(a recurrent state has its layers first), each array has one axis more than the input, and what lies along it are whole
inputs, batch and all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.numeric.drawing import Feed
from steelyard.numeric.errors import NotCheckableError
from steelyard.tasks.npz import read_first_rows, write_npz
from steelyard.tasks.packing import TABLE_SUFFIX, VALUES_SUFFIX, unpack

# As much of inputs as travels to every device without a thought.
_MOST_BYTES = 64 * 1024 * 1024


def task_feeds(evaluation: Path, sample_count: int) -> tuple[bytes, int]:
    """Return the first samples of a task's evaluation data, packed as they are, and how many there are.

    Raises:
        TaskError: bytes that are no such data.
        NotCheckableError: there is none, or one sample alone is too large.
    """
    arrays = read_first_rows(evaluation, sample_count, what="the evaluation data", whole=TABLE_SUFFIX)
    values = {name: array for name, array in arrays.items() if name.endswith(VALUES_SUFFIX) and array.ndim}
    count = min([sample_count, *(len(array) for array in values.values())]) if values else 0
    if not count:
        raise NotCheckableError("the task's evaluation data has no samples that can be read")
    each = sum(array[:1].nbytes for array in values.values())
    count = min(count, _bounded(each))
    tables = {name: array for name, array in arrays.items() if name.endswith(TABLE_SUFFIX)}
    return write_npz({**{name: array[:count] for name, array in values.items()}, **tables}), count


def drawn_feeds(feeds: Sequence[Feed]) -> tuple[bytes, int]:
    """Return drawn inputs as one file, and how many there are: fewer where they are large.

    Raises:
        NotCheckableError: one of them alone is too large.
    """
    each = sum(array.nbytes for array in feeds[0].values())
    kept = feeds[: _bounded(each)]
    return write_npz({name + VALUES_SUFFIX: np.stack([feed[name] for feed in kept]) for name in feeds[0]}), len(kept)


def pack_samples(feed: Feed) -> tuple[bytes, int]:
    """Return drawn samples [N, ...] as one file, as a task's data is stored, and how many there are.

    Raises:
        NotCheckableError: one of them alone is too large.
    """
    count = min(len(array) for array in feed.values())
    kept = min(count, _bounded(sum(array[:1].nbytes for array in feed.values())))
    return write_npz({name + VALUES_SUFFIX: array[:kept] for name, array in feed.items()}), kept


def read_feeds(content: bytes, ranks: Mapping[str, int], fixed_batch: int | None, batch_size: int) -> list[Feed]:
    """Return what to feed a model with, inference by inference, as the agent does (``worker/numeric.py``).

    Args:
        content: as made here.
        ranks: by name of each input of the model, how many axes it has.
        fixed_batch: the size of the first axis where the model fixes it.
        batch_size: the samples of one inference where the plan says so; 0: what the model fixes, else 1.

    Raises:
        TaskError: bytes that were not made here.
        NotCheckableError: fewer samples than one inference takes.
    """
    arrays = unpack(content)
    arrays = {name: array for name, array in arrays.items() if name in ranks} or arrays
    if len(arrays) == len(ranks) == 1:
        arrays = {next(iter(ranks)): next(iter(arrays.values()))}
    count = min(len(array) for array in arrays.values())
    if all(array.ndim == ranks.get(name, -1) + 1 for name, array in arrays.items()):
        return [{name: np.array(array[at]) for name, array in arrays.items()} for at in range(count)]
    size = batch_size or fixed_batch or 1
    if count < size:
        raise NotCheckableError(f"the check has {count} samples and the model takes batches of {size}")
    starts = range(0, count - size + 1, size)
    return [{name: np.ascontiguousarray(array[at : at + size]) for name, array in arrays.items()} for at in starts]


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return what successive inferences gave as one array, flat where the shape changes from one to the next."""
    whole = [np.atleast_1d(part) for part in parts]
    if len({part.shape[1:] for part in whole}) > 1:
        whole = [part.reshape(-1) for part in whole]
    return np.concatenate(whole)


def _bounded(each_bytes: int) -> int:
    count = _MOST_BYTES // max(1, each_bytes)
    if not count:
        raise NotCheckableError(f"one input has {each_bytes} bytes, more than the {_MOST_BYTES} of the numeric check")
    return count
