"""Calibration data: packed inputs that are expanded a few samples at a time, so that memory stays bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError
from steelyard.tasks.npz import read_npz
from steelyard.tasks.packing import TABLE_SUFFIX, VALUES_SUFFIX, WHOLE, expand
from steelyard.tasks.stored_rows import StoredRows, open_stored

if TYPE_CHECKING:
    from steelyard.compress.contract import Progress, StepContext

_WHAT = "the calibration data"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedInput:
    """Samples [N, ...] of one input: the values themselves, or indexes into a table; in memory or in a file."""

    values: NDArray[Any] | StoredRows
    table: NDArray[Any] | None

    def samples(self, start: int, stop: int) -> NDArray[Any]:
        """Return the samples from ``start`` up to ``stop`` as the model gets them."""
        return expand(self.values[start:stop], self.table)

    @property
    def dtype(self) -> str:
        """The numpy dtype name of what the model gets."""
        return str((self.values if self.table is None else self.table).dtype.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationData:
    """Inputs by name, all with the same number of samples; ``digest`` is the SHA-256 of the packed bytes.

    ``is_whole``: each sample is all that one inference takes, and its arrays have one axis more than the inputs.
    """

    digest: str
    sample_count: int
    inputs: Mapping[str, PackedInput]
    is_whole: bool = False

    def batch(self, size: int) -> int:
        """Return how many samples go into one inference of a model that takes batches of ``size``."""
        return 1 if self.is_whole else size

    def shown_shape(self, name: str) -> list[int | str]:
        """Return the shape of an input in one inference, "N" for the batch where samples can be put together."""
        sizes = self.inputs[name].values.shape[1:]
        return list(sizes) if self.is_whole else ["N", *sizes]

    def first_feed(self, model_batch: int) -> dict[str, NDArray[Any]] | str:
        """Return the feed of one inference of a model that takes batches of ``model_batch``, or why there is none."""
        size = self.batch(model_batch)
        if self.sample_count < size:
            return f"{self.sample_count} calibration samples are fewer than the model's batch of {size}"
        return self.feed(0, size)

    def feed(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return what a session is fed with for the samples from ``start`` up to ``stop``; of whole ones, for one.

        Raises:
            ValueError: several whole inferences at once.
        """
        if self.is_whole:
            if stop - start != 1:
                raise ValueError(f"whole inferences are fed one by one, not {stop - start} at once")
            return {name: np.asarray(packed.samples(start, stop)[0]) for name, packed in self.inputs.items()}
        return {name: packed.samples(start, stop) for name, packed in self.inputs.items()}


def required_calibration(what: str, context: StepContext) -> CalibrationData:
    """Return the calibration data of a step; ``what`` names who needs it, in errors.

    Raises:
        CompressionInputError: no_calibration_data.
    """
    if context.calibration is None:
        raise CompressionInputError(
            "no_calibration_data", f"{what} needs calibration data; give a task with a calibration split"
        )
    return context.calibration


def read_calibration(content: bytes) -> CalibrationData:
    """Read packed calibration data.

    Raises:
        TaskError: bytes that are no packed data.
        CompressionInputError: no samples, or inputs with different numbers of them.
    """
    return _calibration(read_npz(content, what=_WHAT), hashlib.sha256(content).hexdigest())


def open_calibration(path: Path) -> CalibrationData:
    """Return packed calibration data whose samples stay in the file until they are asked for.

    Raises:
        TaskError: a file that is no packed data.
        CompressionInputError: no samples, or inputs with different numbers of them.
    """
    stored = open_stored(path, whole=TABLE_SUFFIX, what=_WHAT)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _calibration(stored, digest)


def _calibration(arrays: Mapping[str, NDArray[Any] | StoredRows], digest: str) -> CalibrationData:
    inputs = {}
    for key, values in arrays.items():
        if key.endswith(VALUES_SUFFIX):
            name = key.removesuffix(VALUES_SUFFIX)
            table = arrays.get(name + TABLE_SUFFIX)
            inputs[name] = PackedInput(values=values, table=table[:] if isinstance(table, StoredRows) else table)
    counts = {packed.values.shape[0] if packed.values.shape else 0 for packed in inputs.values()}
    if len(counts) != 1 or counts == {0}:
        raise CompressionInputError(
            "invalid_calibration",
            f"the calibration data has {sorted(counts)} samples a model input; give as many for each, one at least",
        )
    return CalibrationData(digest=digest, sample_count=counts.pop(), inputs=inputs, is_whole=WHOLE in arrays)


def batches(data: CalibrationData, *, size: int, progress: Progress, what: str) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield every sample in batches of ``size``; a last partial batch is filled from before it.

    Raises:
        CompressionInputError: fewer samples than one batch, or NaN in a sample.
    """
    size = data.batch(size)
    if data.sample_count < size:
        raise CompressionInputError(
            "invalid_calibration",
            f"the model takes batches of {size} and the calibration data has {data.sample_count} samples; add samples",
        )
    batch_count = -(-data.sample_count // size)
    for number in range(1, batch_count + 1):
        stop = min(number * size, data.sample_count)
        progress(what, number, batch_count)
        feed = data.feed(stop - size, stop)
        _refuse_nan(feed, stop - size, is_whole=data.is_whole)
        yield feed


def _refuse_nan(feed: Mapping[str, NDArray[Any]], start: int, *, is_whole: bool) -> None:
    for name, values in feed.items():
        if values.dtype.kind == "f" and np.isnan(values).any():
            # A whole inference is one sample, and its first axis, where it has one, counts none.
            row = 0 if is_whole else int(np.isnan(values.reshape(len(values), -1)).any(axis=1).argmax())
            raise CompressionInputError(
                "invalid_calibration",
                f"sample {start + row} of the calibration data holds NaN in the input {name!r}; repair the data",
            )
