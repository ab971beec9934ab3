"""Compressed blobs and deltas between a real agent's client and a real controller's service."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from backports import zstd

from steelyard.fleet.blob_servicer import BlobGate, BlobServicer
from steelyard.store.blobs import BlobStore
from steelyard_agent.jobs.delta_bases import DeltaBases
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.blobs import BlobClient
from steelyard_agent.link.channel import open_channel
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc
from tests.support.shaping_proxy import Shape, ShapingProxy, shaping_proxy

GRANT = TransferGrant(job_id="job", epoch=1)
PARENT = random.Random(0).randbytes(3_000_000)
VARIANT = PARENT[:1_000_000] + b"fine-tuned" + PARENT[1_000_000:]
SPARSE = bytes(2_000_000) + PARENT[:500_000]


class Between:
    """A controller's store, a device's cache, and a network that counts."""

    def __init__(self, store: BlobStore, cache: BlobCache, proxy: ShapingProxy, channel: grpc.aio.Channel) -> None:
        self.store = store
        self.cache = cache
        self.proxy = proxy
        self.client = BlobClient(channel, device_id="d")

    def hold(self, content: bytes) -> str:
        """Put a blob on both sides."""
        digest = self.store.put_bytes(content)
        with self.cache.open_partial(digest) as file:
            file.write(content)
        self.cache.finish(digest)
        return digest

    async def fetch(self, digest: str, *, offset: int = 0) -> tuple[bytes, int]:
        """Fetch a blob; return its bytes from the offset on, and what went over the wire for them."""
        into, before = bytearray(), self.proxy.traffic.down_bytes
        await self.client.download(
            digest,
            offset=offset,
            size_bytes=self.store.size(digest),
            grant=GRANT,
            write=into.extend,
            held=DeltaBases(cache=self.cache),
        )
        return bytes(into), self.proxy.traffic.down_bytes - before


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[Between]:
    async def anybody(_grant: blob_pb2.BlobGrant, *_what: object) -> None:
        """Who may have what is not the matter here."""

    async def all_held(_digest: str, held: Sequence[str]) -> Sequence[str]:
        return held

    store = BlobStore(tmp_path / "blobs")
    (tmp_path / "cache").mkdir()
    cache = BlobCache(tmp_path / "cache", free_bytes=lambda _folder: 10**12)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    gate = BlobGate(may_download=anybody, may_upload=anybody, find_bases=all_held)
    blob_pb2_grpc.add_BlobServiceServicer_to_server(BlobServicer(store, gate), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with (
        shaping_proxy(port, Shape()) as proxy,
        open_channel(ControllerAddress(host="127.0.0.1", port=proxy.port)) as channel,
    ):
        yield Between(store, cache, proxy, channel)
    await server.stop(None)


async def test_what_compresses_travels_compressed(between: Between) -> None:
    content, sent_bytes = await between.fetch(between.store.put_bytes(SPARSE))
    assert content == SPARSE
    assert sent_bytes < len(SPARSE) / 3


async def test_a_variant_of_what_the_device_holds_travels_as_a_delta(between: Between) -> None:
    between.hold(PARENT)
    content, sent_bytes = await between.fetch(between.store.put_bytes(VARIANT))
    assert content == VARIANT
    assert sent_bytes < len(VARIANT) / 50


@pytest.mark.parametrize("offset", [1_700_001, len(VARIANT) - 1, len(VARIANT)])
async def test_a_delta_goes_on_from_an_offset(between: Between, offset: int) -> None:
    between.hold(PARENT)
    content, _ = await between.fetch(between.store.put_bytes(VARIANT), offset=offset)
    assert content == VARIANT[offset:]


async def test_a_base_that_changed_on_the_disk_makes_the_next_try_come_as_it_is(between: Between) -> None:
    parent, variant = between.hold(PARENT), between.store.put_bytes(VARIANT)
    between.cache.path(parent).write_bytes(PARENT[:-1] + b"x")
    with pytest.raises(LinkDownError, match="not here"):
        await between.fetch(variant)
    content, sent_bytes = await between.fetch(variant)
    assert content == VARIANT
    assert sent_bytes >= len(VARIANT)


async def test_an_agent_that_cannot_decode_gets_the_bytes_as_they_are(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steelyard_agent.link.blobs.can_decode", lambda: False)
    content, sent_bytes = await between.fetch(between.store.put_bytes(SPARSE))
    assert content == SPARSE
    assert sent_bytes >= len(SPARSE)


@pytest.mark.parametrize(
    "unasked",
    [
        blob_pb2.DownloadResponse(encoding=7),
        blob_pb2.DownloadResponse(encoding=blob_pb2.BLOB_ENCODING_ZSTD_DELTA, base_digest="ab" * 32),
        blob_pb2.DownloadResponse(encoding=blob_pb2.BLOB_ENCODING_ZSTD_DELTA, base_digest="../../etc/passwd"),
    ],
    ids=["an unknown encoding", "a base that was not offered", "a path"],
)
async def test_an_encoding_that_was_not_asked_for_is_refused(unasked: blob_pb2.DownloadResponse) -> None:
    with pytest.raises(LinkDownError, match="not asked for"):
        await _fetch_from([blob_pb2.DownloadResponse(size_bytes=1000), unasked], bytearray())


async def test_a_bomb_of_the_controller_is_refused_and_nothing_beyond_the_size_is_written() -> None:
    bomb = [
        blob_pb2.DownloadResponse(size_bytes=100_000),
        blob_pb2.DownloadResponse(encoding=blob_pb2.BLOB_ENCODING_ZSTD),
        blob_pb2.DownloadResponse(chunk=zstd.compress(bytes(1 << 28))),
    ]
    into = bytearray()
    with pytest.raises(LinkDownError, match="more bytes than the blob has"):
        await _fetch_from(bomb, into)
    assert len(into) <= 100_000


async def _fetch_from(messages: Sequence[blob_pb2.DownloadResponse], into: bytearray) -> None:
    """Fetch a blob from a controller that answers with these messages."""

    class Scripted(blob_pb2_grpc.BlobServiceServicer):
        async def Download(self, request: Any, context: Any) -> AsyncIterator[blob_pb2.DownloadResponse]:
            for message in messages:
                yield message

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    blob_pb2_grpc.add_BlobServiceServicer_to_server(Scripted(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with open_channel(ControllerAddress(host="127.0.0.1", port=port)) as channel:
            client = BlobClient(channel, device_id="d")
            size_bytes = messages[0].size_bytes
            await client.download("ab" * 32, offset=0, size_bytes=size_bytes, grant=GRANT, write=into.extend)
    finally:
        await server.stop(None)
