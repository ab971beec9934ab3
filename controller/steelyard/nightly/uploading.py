"""Uploads of a night beside those of another one: the same bytes at the same time are brought by one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from steelyard.errors import SteelyardError

_T = TypeVar("_T")
# The other one's upload took ours over; ours is done when that is.
_TAKEN_OVER = "upload_paused"
_PAUSE_S = 0.5
_MOST_TRIES = 240


def brought(upload: Callable[[], _T], pause: Callable[[float], object]) -> _T:
    """Return what an upload returns; where somebody else brings the same bytes just now, that is waited for.

    Raises:
        SteelyardError: the upload failed, or the other one did not end within two minutes.
    """
    for _ in range(_MOST_TRIES):
        try:
            return upload()
        except SteelyardError as error:
            if error.reason != _TAKEN_OVER:
                raise
        pause(_PAUSE_S)
    return upload()
