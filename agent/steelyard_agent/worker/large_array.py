"""An array that no cache holds: what memory is measured over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KIB, _MIB = 1024, 1024 * 1024
# Four times the last cache, as STREAM asks for; where a system does not tell its caches, more than boards have.
_CACHES, _WHERE_UNKNOWN_BYTES = 4, 64 * _MIB
_LEAST_BYTES = 16 * _MIB
# A virtual machine may be told the cache of a whole server: 260 MB of L3.
_MOST_BYTES = 1024 * _MIB
# So that nothing is swapped, and nobody killed, for it.
_SHARE_OF_AVAILABLE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeArray:
    """The array, float32 and written once, and what it is in words; None, and why there is none."""

    values: NDArray[np.float32] | None
    how: str


def large_array(root: Path = Path("/")) -> LargeArray:
    """Return an array that is far larger than the last cache, as far as memory is available."""
    import numpy as np

    cache_bytes, available_bytes = last_cache_bytes(root), available_memory_bytes(root)
    wanted = min(_MOST_BYTES, max(_LEAST_BYTES, _CACHES * cache_bytes if cache_bytes else _WHERE_UNKNOWN_BYTES))
    lent = wanted if available_bytes is None else min(wanted, available_bytes // _SHARE_OF_AVAILABLE)
    said = f"{cache_bytes // _KIB:,} KiB" if cache_bytes else "unknown"
    if lent < max(_LEAST_BYTES, 2 * (cache_bytes or 0)):
        why = f"{lent // _MIB} MiB, the most that may be taken here, are too few beside a last cache of {said}"
        return LargeArray(values=None, how=why)
    values = np.ones(lent // 4, np.float32)
    return LargeArray(values=values, how=f"an array of {values.nbytes // _MIB} MiB (last cache: {said})")


def last_cache_bytes(root: Path = Path("/")) -> int | None:
    """Return the size of the largest cache that Linux names, None where it names none."""
    sizes = []
    for file in root.glob("sys/devices/system/cpu/cpu*/cache/index*/size"):
        try:
            found = re.fullmatch(r"(\d+)([KM])", file.read_text().strip())
        except OSError:
            # A core that went offline between the listing and the reading.
            continue
        if found:
            sizes.append(int(found[1]) * (_KIB if found[2] == "K" else _MIB))
    return max(sizes, default=None)


def available_memory_bytes(root: Path = Path("/")) -> int | None:
    """Return what Linux says is available, None elsewhere."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", (root / "proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * _KIB if found else None
