"""Blobs and sessions over a network that is slow, stalls, breaks and goes silent."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from steelyard.fleet.blob_servicer import BlobGate, BlobServicer
from steelyard.fleet.transport import SERVER_OPTIONS
from steelyard.store.blobs import BlobStore
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.blobs import BlobClient
from steelyard_agent.link.channel import open_channel
from steelyard_agent.state.blob_cache import digest_of
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc
from tests.support.shaping_proxy import Shape, ShapingProxy, shaping_proxy

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
    async def anybody(_grant: blob_pb2.BlobGrant, _what: object) -> None:
        """Who may have what is not the matter here."""

    store = BlobStore(tmp_path / "blobs")
    server = grpc.aio.server(options=SERVER_OPTIONS)
    gate = BlobGate(may_download=anybody, may_upload=anybody)
    blob_pb2_grpc.add_BlobServiceServicer_to_server(BlobServicer(store, gate, chunk_s=CHUNK_S), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield store, port
    await server.stop(None)


async def _fetch(proxy: ShapingProxy, digest: str, into: bytearray) -> int:
    """Fetch with as many connections as it takes; return how many broke."""
    broken = 0
    while len(into) < BLOB_BYTES:
        async with open_channel(ControllerAddress(host="127.0.0.1", port=proxy.port)) as channel:
            client = BlobClient(channel, device_id="d", no_progress_s=5, chunk_s=CHUNK_S)
            try:
                await client.download(digest, offset=len(into), size_bytes=BLOB_BYTES, grant=GRANT, write=into.extend)
            except LinkDownError:
                broken += 1
    return broken


async def test_a_download_over_a_bad_network_arrives_whole_and_hardly_anything_travels_twice(
    served: tuple[BlobStore, int], blob: Path
) -> None:
    store, port = served
    digest = store.put_file(blob)
    received = bytearray()
    async with shaping_proxy(port, BAD) as proxy:
        broken = await _fetch(proxy, digest, received)
    assert hashlib.sha256(received).hexdigest() == digest
    assert broken >= 2
    assert proxy.traffic.down_bytes + proxy.traffic.lost_bytes < 1.05 * BLOB_BYTES


async def test_an_upload_over_a_bad_network_arrives_whole_and_hardly_anything_travels_twice(
    served: tuple[BlobStore, int], blob: Path
) -> None:
    store, port = served
    digest = digest_of(blob)
    broken = 0
    async with shaping_proxy(port, BAD) as proxy:
        while not store.has(digest):
            async with open_channel(ControllerAddress(host="127.0.0.1", port=proxy.port)) as channel:
                try:
                    await BlobClient(channel, device_id="d", no_progress_s=5, chunk_s=CHUNK_S).upload(
                        digest, blob, grant=GRANT
                    )
                except LinkDownError:
                    broken += 1
    assert hashlib.sha256(store.read_bytes(digest)).hexdigest() == digest
    assert broken >= 2
    assert proxy.traffic.up_bytes + proxy.traffic.lost_bytes < 1.05 * BLOB_BYTES


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
