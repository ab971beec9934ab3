"""How large the next chunk of a transfer is: what a cut loses, and what a stalled receiver holds, is one chunk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from steelyard.fleet.transport import CHUNK_BYTES

# A quarter of a second a chunk: at 1 Mbit/s a cut every 20 s then loses about one part in a hundred of what was sent.
CHUNK_S: Final = 0.25
MIN_CHUNK_BYTES: Final = 16 * 1024
# A write returns at once while buffers have room: at the start they swallow a megabyte, which is no rate. The slowest
# of so many periods in a row is.
_PERIODS: Final = 3


class ChunkSize:
    """The size of the next chunk from the rate of those before it; for one transfer, on one event loop."""

    def __init__(self, chunk_s: float = CHUNK_S, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with the smallest chunk; one should take ``chunk_s`` seconds of the monotonic ``clock_s``."""
        self._chunk_s = chunk_s
        self._clock_s = clock_s
        self._period_begun_s = clock_s()
        self._period_bytes = 0
        # Each period lasts as long as a chunk should, or as the one write that it waited for.
        self._rates_bytes_s: deque[float] = deque(maxlen=_PERIODS)
        self.bytes = MIN_CHUNK_BYTES

    def sent(self, chunk_bytes: int) -> None:
        """Take note of a chunk that was taken off our hands."""
        self._period_bytes += chunk_bytes
        now_s = self._clock_s()
        elapsed_s = now_s - self._period_begun_s
        if elapsed_s < self._chunk_s:
            return
        self._rates_bytes_s.append(self._period_bytes / elapsed_s)
        self._period_begun_s, self._period_bytes = now_s, 0
        if len(self._rates_bytes_s) == _PERIODS:
            wanted = min(self._rates_bytes_s) * self._chunk_s
            self.bytes = int(min(CHUNK_BYTES, max(MIN_CHUNK_BYTES, wanted)))
