"""Calibration data: packed inputs that are expanded a few samples at a time, so that memory stays bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError
from steelyard.tasks.npz import read_npz
from steelyard.tasks.packing import TABLE_SUFFIX, VALUES_SUFFIX, expand

if TYPE_CHECKING:
    from steelyard.compress.contract import Progress

# Samples between two reductions of what a calibrator collected; histogram calibrators keep every activation till then.
SAMPLES_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedInput:
    """Samples [N, ...] of one input: the values themselves, or indexes into a table."""

    values: NDArray[Any]
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
    """Inputs by name, all with the same number of samples; ``digest`` is the SHA-256 of the packed bytes."""

    digest: str
    sample_count: int
    inputs: Mapping[str, PackedInput]

    def feed(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return what a session is fed with for the samples from ``start`` up to ``stop``."""
        return {name: packed.samples(start, stop) for name, packed in self.inputs.items()}


def read_calibration(content: bytes) -> CalibrationData:
    """Read packed calibration data.

    Raises:
        TaskError: bytes that are no packed data.
        CompressionInputError: no samples, or inputs with different numbers of them.
    """
    arrays = read_npz(content, what="the calibration data")
    inputs = {
        key.removesuffix(VALUES_SUFFIX): PackedInput(
            values=values, table=arrays.get(key.removesuffix(VALUES_SUFFIX) + TABLE_SUFFIX)
        )
        for key, values in arrays.items()
        if key.endswith(VALUES_SUFFIX)
    }
    counts = {packed.values.shape[0] if packed.values.ndim else 0 for packed in inputs.values()}
    if len(counts) != 1 or counts == {0}:
        raise CompressionInputError(
            "invalid_calibration",
            f"the calibration data has {sorted(counts)} samples a model input; give as many for each, one at least",
        )
    return CalibrationData(digest=hashlib.sha256(content).hexdigest(), sample_count=counts.pop(), inputs=inputs)


class CalibrationReader:
    """Feeds onnxruntime's calibrators, whose interface this is (``get_next``, ``__len__``, ``set_range``).

    The length is rounded up to whole ranges, since onnxruntime refuses to calibrate in ranges otherwise.
    """

    def __init__(self, data: CalibrationData, *, batch_size: int, progress: Progress) -> None:
        if data.sample_count < batch_size:
            raise CompressionInputError(
                "invalid_calibration",
                f"the model takes batches of {batch_size} and the calibration data has {data.sample_count} samples; "
                "add samples",
            )
        self._data = data
        self._batch_size = batch_size
        self._progress = progress
        self._batch_count = -(-data.sample_count // batch_size)
        self._next, self._end = 0, self._batch_count

    def __len__(self) -> int:
        return -(-self._batch_count // SAMPLES_AT_ONCE) * SAMPLES_AT_ONCE

    def set_range(self, start_index: int, end_index: int) -> None:
        """Go on with the batches from ``start_index`` up to ``end_index``."""
        self._next, self._end = start_index, min(end_index, self._batch_count)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch, or None at the end of the range; a last partial batch is filled from before it."""
        if self._next >= self._end:
            return None
        stop = min((self._next + 1) * self._batch_size, self._data.sample_count)
        self._next += 1
        self._progress("calibrating", self._next, self._batch_count)
        return self._data.feed(stop - self._batch_size, stop)
