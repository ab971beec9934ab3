"""How large the next chunk of a transfer is: what a cut loses, and what a stalled receiver holds, is one chunk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from steelyard.fleet.transport import CHUNK_BYTES

# A quarter of a second a chunk: at 1 Mbit/s a cut every 20 s then loses about one part in a hundred of what was sent.
CHUNK_S: Final = 0.25
MIN_CHUNK_BYTES: Final = 16 * 1024
# A write returns at once while buffers have room and then not for a while: only the mean over many is a rate.
_MEMORY: Final = 0.9


class ChunkSize:
    """The size of the next chunk from the rate of those before it; for one transfer, on one event loop."""

    def __init__(self, chunk_s: float = CHUNK_S, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with the smallest chunk; one should take ``chunk_s`` seconds of the monotonic ``clock_s``."""
        self._chunk_s = chunk_s
        self._clock_s = clock_s
        self._begun_s = self._last_s = clock_s()
        self._sent_bytes = self._elapsed_s = 0.0
        self.bytes = MIN_CHUNK_BYTES

    def sent(self, chunk_bytes: int) -> None:
        """Take note of a chunk that was taken off our hands."""
        now_s = self._clock_s()
        self._sent_bytes = _MEMORY * self._sent_bytes + chunk_bytes
        self._elapsed_s = _MEMORY * self._elapsed_s + now_s - self._last_s
        self._last_s = now_s
        # Before that there is no rate to speak of, only buffers that fill.
        if now_s - self._begun_s >= self._chunk_s:
            wanted = self._sent_bytes / max(self._elapsed_s, 1e-9) * self._chunk_s
            self.bytes = int(min(CHUNK_BYTES, 2 * self.bytes, max(MIN_CHUNK_BYTES, wanted)))
