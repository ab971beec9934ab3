"""Blobs over real gRPC: who may have and bring what, from which offset, and that nothing wrong is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import pytest

from steelyard.fleet.blob_servicer import MAX_UPLOAD_BYTES, BlobGate, BlobRefusedError, BlobServicer
from steelyard.fleet.transport import MAX_PARALLEL_DOWNLOADS
from steelyard.store.blobs import BlobStore
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc
from tests.controller.fleet.scripted_agent import ScriptedAgent, digest_of

CONTENT = bytes(range(256)) * 20
# More than all the buffers between two ends.
LARGE = bytes(range(256)) * 100_000
NO_PROGRESS_S = 0.5


@dataclass
class Depot:
    """A blob store behind a gate that knows one device and what it may fetch."""

    blobs: BlobStore
    free_bytes: list[int]
    fetchable: set[str] = field(default_factory=set)
    address: str = ""

    async def may_download(self, _grant: blob_pb2.BlobGrant, digest: str) -> None:
        if digest not in self.fetchable:
            raise BlobRefusedError("not_in_job", f"blob {digest[:12]} is not named by a job of this device")

    async def may_upload(self, grant: blob_pb2.BlobGrant, _digest: str, _size_bytes: int) -> None:
        if grant.device_id != "dev-0001":
            raise BlobRefusedError("other_device", f"job {grant.job_id} belongs to another device")


@pytest.fixture
async def depot(tmp_path: Path) -> AsyncIterator[Depot]:
    free = [1 << 40]
    made = Depot(blobs=BlobStore(tmp_path / "blobs", free_bytes=lambda _folder: free[0]), free_bytes=free)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    gate = BlobGate(may_download=made.may_download, may_upload=made.may_upload)
    servicer = BlobServicer(made.blobs, gate, no_progress_s=NO_PROGRESS_S, sign_s=NO_PROGRESS_S / 10)
    blob_pb2_grpc.add_BlobServiceServicer_to_server(servicer, server)
    made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield made
    await server.stop(None)


@pytest.fixture
async def agent(depot: Depot) -> AsyncIterator[ScriptedAgent]:
    async with ScriptedAgent(depot.address) as made:
        yield made


def refusal(caught: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> tuple[grpc.StatusCode, str]:
    """The code and the reason of a failed call."""
    reasons = [value for key, value in caught.value.trailing_metadata() if key == "steelyard-reason"]
    return caught.value.code(), str(reasons[0]) if reasons else ""


async def _read_all(call: grpc.aio.UnaryStreamCall[blob_pb2.DownloadRequest, blob_pb2.DownloadResponse]) -> bytes:
    received = bytearray()
    while (message := await call.read()) is not grpc.aio.EOF:
        received += message.chunk
    return bytes(received)


async def test_a_blob_goes_up_and_comes_down_whole(depot: Depot, agent: ScriptedAgent) -> None:
    response = await agent.upload(CONTENT)
    assert response.size_bytes == len(CONTENT)
    depot.fetchable.add(digest_of(CONTENT))
    assert await agent.download(digest_of(CONTENT)) == CONTENT


async def test_a_download_goes_on_from_an_offset(depot: Depot, agent: ScriptedAgent) -> None:
    digest = depot.blobs.put_bytes(CONTENT)
    depot.fetchable.add(digest)
    assert await agent.download(digest, offset=5000) == CONTENT[5000:]
    assert await agent.download(digest, offset=len(CONTENT)) == b""


@pytest.mark.parametrize("offset", [-1, len(CONTENT) + 1])
async def test_an_offset_outside_the_blob_is_refused(depot: Depot, agent: ScriptedAgent, offset: int) -> None:
    digest = depot.blobs.put_bytes(CONTENT)
    depot.fetchable.add(digest)
    with pytest.raises(grpc.aio.AioRpcError, match=str(offset)) as caught:
        await agent.download(digest, offset=offset)
    assert refusal(caught) == (grpc.StatusCode.ABORTED, "bad_offset")


async def test_a_download_that_no_job_names_is_refused(depot: Depot, agent: ScriptedAgent) -> None:
    digest = depot.blobs.put_bytes(CONTENT)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.download(digest)
    assert refusal(caught) == (grpc.StatusCode.PERMISSION_DENIED, "not_in_job")


async def test_a_blob_that_is_not_there_is_not_found(depot: Depot, agent: ScriptedAgent) -> None:
    depot.fetchable.add("ab" * 32)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.download("ab" * 32)
    assert refusal(caught) == (grpc.StatusCode.NOT_FOUND, "blob_not_found")


async def test_a_blob_that_changed_on_the_disk_is_not_served_as_good(depot: Depot, agent: ScriptedAgent) -> None:
    digest = depot.blobs.put_bytes(CONTENT)
    depot.fetchable.add(digest)
    depot.blobs.path(digest).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.download(digest)
    assert refusal(caught) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "blob_damaged")


async def test_what_is_not_a_digest_is_refused_before_it_becomes_a_path(depot: Depot, agent: ScriptedAgent) -> None:
    depot.fetchable.add("../../etc/passwd")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.download("../../etc/passwd")
    assert refusal(caught) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_digest")


async def test_an_upload_resumes_where_it_broke_off(depot: Depot, agent: ScriptedAgent) -> None:
    digest = digest_of(CONTENT)
    header = blob_pb2.UploadHeader(digest=digest, size_bytes=len(CONTENT), offset=0, grant=agent.grant("job-0001"))
    call = agent.blobs.Upload()
    await call.write(blob_pb2.UploadRequest(header=header))
    await call.write(blob_pb2.UploadRequest(chunk=CONTENT[:2000]))
    query = blob_pb2.QueryUploadRequest(digest=digest, size_bytes=len(CONTENT), grant=agent.grant("job-0001"))
    while (held := await agent.blobs.QueryUpload(query)).offset < 2000:
        await asyncio.sleep(0.005)
    call.cancel()
    assert not held.complete
    header.offset = 2000
    rest = [blob_pb2.UploadRequest(header=header), blob_pb2.UploadRequest(chunk=CONTENT[2000:])]
    await agent.blobs.Upload(iter(rest))
    assert depot.blobs.read_bytes(digest) == CONTENT
    done = await agent.blobs.QueryUpload(query)
    assert done.complete


async def test_an_upload_from_the_wrong_offset_is_told_the_right_one(depot: Depot, agent: ScriptedAgent) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="byte 0, not at 7") as caught:
        await agent.upload(CONTENT, offset=7, refused_at=1)
    assert refusal(caught) == (grpc.StatusCode.ABORTED, "bad_offset")
    assert not depot.blobs.has(digest_of(CONTENT))


async def test_bytes_of_another_digest_are_not_kept(depot: Depot, agent: ScriptedAgent) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await agent.upload(CONTENT, digest=digest_of(b"something else"))
    assert not depot.blobs.has(digest_of(b"something else"))
    assert not depot.blobs.has(digest_of(CONTENT))
    # The next, honest try is not in its way.
    await agent.upload(b"something else")
    assert depot.blobs.has(digest_of(b"something else"))


async def test_more_bytes_than_were_announced_are_refused(depot: Depot, agent: ScriptedAgent) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.upload(CONTENT, size_bytes=100, refused_at=2)
    assert refusal(caught)[1] == "too_many_bytes"
    assert not depot.blobs.has(digest_of(CONTENT))


async def test_a_blob_past_the_limit_is_refused_before_any_byte(agent: ScriptedAgent) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=str(MAX_UPLOAD_BYTES)) as caught:
        await agent.upload(CONTENT, size_bytes=MAX_UPLOAD_BYTES + 1, refused_at=1)
    assert refusal(caught) == (grpc.StatusCode.PERMISSION_DENIED, "too_large")
    query = blob_pb2.QueryUploadRequest(digest="ab" * 32, size_bytes=-1, grant=agent.grant("job-0001"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.blobs.QueryUpload(query)
    assert refusal(caught)[1] == "too_large"


@pytest.mark.parametrize("requests", [[], [blob_pb2.UploadRequest(chunk=b"abc")]], ids=["nothing", "a chunk first"])
async def test_an_upload_without_a_header_is_refused(agent: ScriptedAgent, requests) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="header") as caught:
        await agent.blobs.Upload(iter(requests))
    assert refusal(caught) == (grpc.StatusCode.PERMISSION_DENIED, "no_header")


async def test_an_upload_of_another_device_is_refused(depot: Depot) -> None:
    async with ScriptedAgent(depot.address, device_id="dev-0002") as stranger:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stranger.upload(CONTENT, refused_at=1)
        assert refusal(caught) == (grpc.StatusCode.PERMISSION_DENIED, "other_device")


async def test_a_full_disk_of_the_controller_is_its_own_reason(depot: Depot, agent: ScriptedAgent) -> None:
    depot.free_bytes[0] = 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.upload(CONTENT, refused_at=1)
    assert refusal(caught) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "disk_full")
    depot.free_bytes[0] = 1 << 40
    await agent.upload(CONTENT)
    assert depot.blobs.has(digest_of(CONTENT))


async def test_the_same_bytes_twice_are_one_blob(depot: Depot, agent: ScriptedAgent) -> None:
    await agent.upload(CONTENT)
    again = await agent.upload(CONTENT)
    assert again.size_bytes == len(CONTENT)


async def test_more_downloads_than_places_wait_for_their_turn(depot: Depot, agent: ScriptedAgent) -> None:
    digest = depot.blobs.put_bytes(CONTENT)
    depot.fetchable.add(digest)
    downloads = [agent.download(digest) for _ in range(3 * MAX_PARALLEL_DOWNLOADS)]
    assert await asyncio.gather(*downloads) == [CONTENT] * len(downloads)


async def test_who_waits_for_a_turn_hears_at_once_how_much_there_is_and_signs_of_life_then(depot: Depot) -> None:
    digest = depot.blobs.put_bytes(LARGE)
    depot.fetchable.add(digest)
    async with AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(ScriptedAgent(depot.address)) for _ in range(9)]
        calls = []
        for agent in agents[:MAX_PARALLEL_DOWNLOADS]:
            calls.append(call := agent.blobs.Download(blob_pb2.DownloadRequest(digest=digest)))
            # The size, then a first chunk: the place is taken, and not given back.
            assert (await call.read()).size_bytes == len(LARGE)
            assert (await call.read()).chunk
        ninth = agents[MAX_PARALLEL_DOWNLOADS].blobs.Download(blob_pb2.DownloadRequest(digest=digest))
        assert (await ninth.read()).size_bytes == len(LARGE)
        assert not (await ninth.read()).chunk
        # The eight read nothing: their places become free, and the ninth's blob comes.
        assert await _read_all(ninth) == LARGE


async def test_a_download_that_nobody_reads_is_told_that_it_stood_still(depot: Depot, agent: ScriptedAgent) -> None:
    digest = depot.blobs.put_bytes(LARGE)
    depot.fetchable.add(digest)
    stuck = agent.blobs.Download(blob_pb2.DownloadRequest(digest=digest))
    await stuck.read()
    async with ScriptedAgent(depot.address) as other:
        assert await other.download(digest) == LARGE
    await asyncio.sleep(2 * NO_PROGRESS_S)
    with pytest.raises(grpc.aio.AioRpcError, match="stood still") as caught:
        await _read_all(stuck)
    assert refusal(caught) == (grpc.StatusCode.ABORTED, "stood_still")


async def test_an_upload_whose_sender_falls_silent_ends_and_may_go_on(depot: Depot, agent: ScriptedAgent) -> None:
    digest = digest_of(CONTENT)
    header = blob_pb2.UploadHeader(digest=digest, size_bytes=len(CONTENT), offset=0, grant=agent.grant("job-0001"))
    call = agent.blobs.Upload()
    await call.write(blob_pb2.UploadRequest(header=header))
    await call.write(blob_pb2.UploadRequest(chunk=CONTENT[:3000]))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert refusal(caught) == (grpc.StatusCode.ABORTED, "stood_still")
    header.offset = 3000
    await agent.blobs.Upload(
        iter([blob_pb2.UploadRequest(header=header), blob_pb2.UploadRequest(chunk=CONTENT[3000:])])
    )
    assert depot.blobs.read_bytes(digest) == CONTENT


async def test_an_upload_that_never_says_what_it_is_ends(agent: ScriptedAgent) -> None:
    call = agent.blobs.Upload()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert refusal(caught) == (grpc.StatusCode.ABORTED, "stood_still")
