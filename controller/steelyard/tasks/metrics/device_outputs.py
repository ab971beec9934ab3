"""Reading what a device made of a task's samples; a device's bytes are not trusted."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from steelyard.tasks.npz import read_npz

# What one artifact's outputs may take, on the wire and unpacked.
QUOTA_BYTES = 256 * 1024 * 1024
# Beyond the values: 256 arrays have a header each.
_HEADER_BYTES = 1024 * 1024


def read_outputs(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the reduced outputs by the names that ``steelyard.tasks.metrics.contract.Reduction`` lists.

    Raises:
        TaskError: bytes that no device made, or more of them than the quota allows.
    """
    return read_npz(content, what="the device's outputs", max_bytes=QUOTA_BYTES + _HEADER_BYTES)
