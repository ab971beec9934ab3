"""The files of outputs: what a device, or this machine, answered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from steelyard.tasks.npz import read_npz

OUTPUT, LAYER = "output.", "layer."
QUOTA_BYTES = 256 * 1024 * 1024
MOST_LAYERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOutputs:
    """Outputs by name, and those of the layers where they were looked at, in the model's order."""

    outputs: Mapping[str, NDArray[Any]]
    layers: Mapping[str, NDArray[Any]]

    @property
    def digest(self) -> str:
        """SHA-256 over names, types, shapes and values of the outputs: equal for equal outputs, bit by bit."""
        digest = hashlib.sha256()
        for name in sorted(self.outputs):
            values = self.outputs[name]
            digest.update(f"{name}\0{values.dtype.str}\0{values.shape}\0".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()


def read_outputs(content: bytes, whose: str) -> CheckedOutputs:
    """Return the outputs of an .npz file; a device's bytes are not trusted.

    Raises:
        TaskError: bytes that are no such file.
    """
    arrays = read_npz(content, what=f"outputs of {whose}", max_bytes=2 * QUOTA_BYTES, max_arrays=2 * MOST_LAYERS)
    return CheckedOutputs(outputs=_under(arrays, OUTPUT), layers=_under(arrays, LAYER))


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
