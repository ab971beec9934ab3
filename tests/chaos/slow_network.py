"""``python -m tests.chaos.slow_network``: 100 MB each way at 1 Mbit/s, with stalls and a cut about every 20 s."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path

from steelyard.store.blobs import BlobStore
from steelyard_agent.state.blob_cache import digest_of
from tests.support.blobs_over import blobs_served, brought, fetched
from tests.support.shaping_proxy import Shape, ShapingProxy, shaping_proxy

SIZE_BYTES = 100_000_000
CHUNK_S = 0.25
SHAPE = Shape(rate_bytes_s=125_000, stall_every_s=9, stall_s=3, cut_every_s=20)
_MOST_EXTRA_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Travelled:
    """How a blob came over. ``sent_bytes`` are those of its way on the wire: headers, and what was lost, with them."""

    way: str
    size_bytes: int
    sent_bytes: int
    broken_count: int
    cut_count: int
    wall_s: float
    verified: bool

    @property
    def extra_share(self) -> float:
        """Return what travelled for nothing, as a share of the blob."""
        return self.sent_bytes / self.size_bytes - 1

    @property
    def holds(self) -> bool:
        """Return whether it arrived whole and hardly anything travelled twice."""
        return self.verified and self.extra_share < _MOST_EXTRA_SHARE


async def both_ways(folder: Path, *, size_bytes: int, shape: Shape, chunk_s: float) -> list[Travelled]:
    """Send one blob down and another one up, at the same time, each over a network of its own."""
    down, up = folder / "down", folder / "up"
    for seed, path in enumerate((down, up)):
        path.write_bytes(random.Random(seed).randbytes(size_bytes))
    store = BlobStore(folder / "blobs")
    down_digest, up_digest = store.put_file(down), digest_of(up)
    received = folder / "received"
    async with (
        blobs_served(store, chunk_s=chunk_s) as port,
        shaping_proxy(port, shape) as first,
        shaping_proxy(port, shape) as second,
    ):
        fetching = _timed(fetched(first, down_digest, size_bytes, received, chunk_s=chunk_s))
        bringing = _timed(brought(second, up_digest, up, chunk_s=chunk_s))
        (down_broken, down_s), (up_broken, up_s) = await asyncio.gather(fetching, bringing)
    return [
        _travelled("down", size_bytes, first, down_broken, down_s, verified=digest_of(received) == down_digest),
        _travelled("up", size_bytes, second, up_broken, up_s, verified=digest_of(store.path(up_digest)) == up_digest),
    ]


async def _timed(transfer: Awaitable[int]) -> tuple[int, float]:
    began_s = time.monotonic()
    return await transfer, time.monotonic() - began_s


def _travelled(
    way: str, size_bytes: int, proxy: ShapingProxy, broken_count: int, wall_s: float, *, verified: bool
) -> Travelled:
    traffic = proxy.traffic
    return Travelled(
        way=way,
        size_bytes=size_bytes,
        sent_bytes=(traffic.down_bytes if way == "down" else traffic.up_bytes) + traffic.lost_bytes,
        broken_count=broken_count,
        cut_count=traffic.cut_count,
        wall_s=round(wall_s, 1),
        verified=verified,
    )


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="steelyard-slow-") as folder:
        found = asyncio.run(both_ways(Path(folder), size_bytes=SIZE_BYTES, shape=SHAPE, chunk_s=CHUNK_S))
    for one in found:
        sys.stdout.write(json.dumps({**asdict(one), "extra_share": round(one.extra_share, 4)}) + "\n")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
