"""One blob over a network that breaks: fetched and brought with as many connections as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio

from steelyard.fleet.blob_servicer import BlobGate, BlobServicer
from steelyard.fleet.transport import SERVER_OPTIONS
from steelyard.store.blobs import BlobStore
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.blobs import BlobClient
from steelyard_agent.link.channel import open_channel
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc
from tests.support.shaping_proxy import ShapingProxy

_GRANT = TransferGrant(job_id="job", epoch=1)
_NO_PROGRESS_S = 30.0


@contextlib.asynccontextmanager
async def blobs_served(store: BlobStore, *, chunk_s: float) -> AsyncIterator[int]:
    """Serve a store to anybody on loopback, and yield the port."""

    async def anybody(_grant: blob_pb2.BlobGrant, *_what: object) -> None:
        """Who may have what is not the matter here."""

    server = grpc.aio.server(options=SERVER_OPTIONS)
    gate = BlobGate(may_download=anybody, may_upload=anybody)
    blob_pb2_grpc.add_BlobServiceServicer_to_server(BlobServicer(store, gate, chunk_s=chunk_s), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def fetched(proxy: ShapingProxy, digest: str, size_bytes: int, into: Path, *, chunk_s: float) -> int:
    """Append to ``into`` until all is there; return how many connections broke."""
    broken_count = 0
    with into.open("ab") as file:
        while file.tell() < size_bytes:
            async with _client(proxy, chunk_s) as client:
                try:
                    await client.download(
                        digest, offset=file.tell(), size_bytes=size_bytes, grant=_GRANT, write=file.write
                    )
                except LinkDownError:
                    broken_count += 1
    return broken_count


async def brought(proxy: ShapingProxy, digest: str, path: Path, *, chunk_s: float) -> int:
    """Upload a file until the other side has all of it; return how many connections broke."""
    broken_count = 0
    while True:
        async with _client(proxy, chunk_s) as client:
            try:
                await client.upload(digest, path, grant=_GRANT)
            except LinkDownError:
                broken_count += 1
            else:
                return broken_count


@contextlib.asynccontextmanager
async def _client(proxy: ShapingProxy, chunk_s: float) -> AsyncIterator[BlobClient]:
    async with open_channel(ControllerAddress(host="127.0.0.1", port=proxy.port)) as channel:
        yield BlobClient(channel, device_id="d", no_progress_s=_NO_PROGRESS_S, chunk_s=chunk_s)
