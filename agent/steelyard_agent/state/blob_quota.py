"""How much of a device's disk fetched models and data may keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from steelyard_agent.errors import UsageError

QUOTA_VARIABLE: Final = "STEELYARD_AGENT_BLOB_QUOTA"
_MOST_BY_DEFAULT_BYTES: Final = 4 * 1024**3
_SHARE_BY_DEFAULT: Final = 4
_UNITS: Final = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE: Final = re.compile(r"(\d{1,15}) ?(KiB|MiB|GiB|)")


def chosen_quota_bytes(environ: Mapping[str, str]) -> int | None:
    """Return the quota that the environment sets ("2GiB", "500 MiB", "1000000"), None where it sets none.

    Raises:
        UsageError: ``bad_quota``.
    """
    text = environ.get(QUOTA_VARIABLE, "")
    if not text:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError(
            "bad_quota", f"{QUOTA_VARIABLE} {text[:40]!r} is no size; write bytes, or a number with KiB, MiB or GiB"
        )
    return int(found[1]) * _UNITS[found[2]]


def default_quota_bytes(*, free_bytes: int, kept_bytes: int) -> int:
    """Return the smaller of 4 GiB and a quarter of the room that there is without the blobs that are kept."""
    return min(_MOST_BY_DEFAULT_BYTES, (free_bytes + kept_bytes) // _SHARE_BY_DEFAULT)
