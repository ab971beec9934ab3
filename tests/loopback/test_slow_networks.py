"""Blobs and sessions over a network that is slow, stalls, breaks and goes silent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.store.blobs import BlobStore
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.blobs import BlobClient
from steelyard_agent.link.channel import open_channel
from tests.chaos.slow_network import both_ways
from tests.support.blobs_over import blobs_served
from tests.support.shaping_proxy import Shape, shaping_proxy

BLOB_BYTES = 10_000_000
GRANT = TransferGrant(job_id="job", epoch=1)
SPEED = 16
CHUNK_S = 0.25 / SPEED
# The shape of 1 Mbit/s with stalls and a cut each 20 s, run SPEED times as fast: a transfer of 10 MB meets as
# many stalls and cuts.
BAD = Shape(
    rate_bytes_s=125_000 * SPEED,
    delay_s=0.1 / SPEED,
    stall_every_s=9 / SPEED,
    stall_s=3 / SPEED,
    cut_every_s=20 / SPEED,
)


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(random.Random(0).randbytes(BLOB_BYTES))
    return path


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[BlobStore, int]]:
    store = BlobStore(tmp_path / "blobs")
    async with blobs_served(store, chunk_s=CHUNK_S) as port:
        yield store, port


async def test_a_blob_goes_both_ways_over_a_bad_network_whole_and_hardly_anything_travels_twice(tmp_path: Path) -> None:
    found = await both_ways(tmp_path, size_bytes=BLOB_BYTES, shape=BAD, chunk_s=CHUNK_S)
    assert [one.way for one in found] == ["down", "up"]
    for one in found:
        assert one.verified
        assert one.broken_count >= 2
        assert 0 < one.extra_share < 0.05


async def test_a_transfer_whose_other_side_fell_silent_ends_by_lack_of_progress(
    served: tuple[BlobStore, int], blob: Path
) -> None:
    store, port = served
    digest = store.put_file(blob)
    received = bytearray()
    async with shaping_proxy(port, Shape(rate_bytes_s=2_000_000)) as proxy:

        def take(chunk: bytes) -> None:
            received.extend(chunk)
            if chunk:
                proxy.go_silent()

        async with open_channel(ControllerAddress(host="127.0.0.1", port=proxy.port)) as channel:
            client = BlobClient(channel, device_id="d", no_progress_s=0.5)
            with pytest.raises(LinkDownError, match="stood still"):
                await asyncio.wait_for(
                    client.download(digest, offset=0, size_bytes=BLOB_BYTES, grant=GRANT, write=take), 20
                )
    assert 0 < len(received) < BLOB_BYTES
