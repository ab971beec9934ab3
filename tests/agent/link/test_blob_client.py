"""Transfers of one blob, against a controller on loopback that misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from steelyard_agent.jobs.errors import ControllerFullError, LinkDownError, TransferRefusedError
from steelyard_agent.jobs.port import TransferGrant
from steelyard_agent.link.address import parse_controller_address
from steelyard_agent.link.blobs import BlobClient
from steelyard_agent.link.channel import open_channel
from steelyard_protocol.v1.blob_pb2 import QueryUploadResponse
from tests.support.fake_controller import FakeController, digest_of

GRANT = TransferGrant(job_id="j", epoch=1)


async def test_a_transfer_that_stands_still_is_given_up() -> None:
    class Stuck(FakeController):
        async def Download(self, request: Any, context: Any) -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield

    async with Stuck() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d", no_progress_s=0.05)
        with pytest.raises(LinkDownError, match="stood still"):
            await client.download("0" * 64, offset=0, size_bytes=1, grant=GRANT, write=bytes)


async def test_a_transfer_whose_connection_is_closed_beside_it_breaks_off_and_does_not_end_its_task(
    tmp_path: Path,
) -> None:
    asked = asyncio.Event()

    class Stuck(FakeController):
        async def QueryUpload(self, request: Any, context: Any) -> QueryUploadResponse:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError("never comes here")

    (tmp_path / "file").write_bytes(b"x")
    async with Stuck() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d")
        uploading = asyncio.ensure_future(client.upload(digest_of(b"x"), tmp_path / "file", grant=GRANT))
        await asked.wait()
        await channel.close()
        with pytest.raises(LinkDownError, match="closed in the middle"):
            await uploading


async def test_a_refused_upload_is_told_from_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    async with FakeController() as controller:
        controller.refuse_uploads = True
        async with open_channel(parse_controller_address(controller.address)) as channel:
            client = BlobClient(channel, device_id="d")
            with pytest.raises(TransferRefusedError, match="no lease"):
                await client.upload(digest_of(b"x"), tmp_path / "file", grant=GRANT)
            await controller.stop()
            with pytest.raises(LinkDownError):
                await client.upload(digest_of(b"x"), tmp_path / "file", grant=GRANT)


@pytest.mark.parametrize("offset", [-1, 2])
async def test_an_upload_from_an_offset_that_the_file_does_not_have_is_refused(tmp_path: Path, offset: int) -> None:
    class Confused(FakeController):
        async def QueryUpload(self, request: Any, context: Any) -> QueryUploadResponse:
            return QueryUploadResponse(offset=offset)

    (tmp_path / "file").write_bytes(b"x")
    async with Confused() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d")
        with pytest.raises(TransferRefusedError, match=f"with {offset} bytes"):
            await client.upload(digest_of(b"x"), tmp_path / "file", grant=GRANT)


async def test_an_upload_that_is_refused_at_its_end_tells_why(tmp_path: Path) -> None:
    class Full(FakeController):
        async def Upload(self, request_iterator: Any, context: Any) -> Any:
            async for _ in request_iterator:
                pass
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "over the quota")

    (tmp_path / "file").write_bytes(bytes(400_000))
    async with Full() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d")
        with pytest.raises(TransferRefusedError, match="over the quota"):
            await client.upload(digest_of(bytes(400_000)), tmp_path / "file", grant=GRANT)


async def test_a_controller_whose_disk_is_full_is_told_from_one_that_refuses(tmp_path: Path) -> None:
    class Full(FakeController):
        async def QueryUpload(self, request: Any, context: Any) -> Any:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "no room", trailing_metadata=(("steelyard-reason", "disk_full"),)
            )

    (tmp_path / "file").write_bytes(b"x")
    async with Full() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d")
        with pytest.raises(ControllerFullError, match="no room"):
            await client.upload(digest_of(b"x"), tmp_path / "file", grant=GRANT)


async def test_a_certificate_that_ends_in_the_middle_is_the_links_trouble(tmp_path: Path) -> None:
    class Strict(FakeController):
        async def QueryUpload(self, request: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the certificate has expired")

    (tmp_path / "file").write_bytes(b"x")
    async with Strict() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d")
        with pytest.raises(LinkDownError, match="the certificate has expired"):
            await client.upload(digest_of(b"x"), tmp_path / "file", grant=GRANT)


async def test_an_upload_that_is_cut_short_may_be_tried_again_but_never_passes_for_done(tmp_path: Path) -> None:
    class Hasty(FakeController):
        async def Upload(self, request_iterator: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "over the quota")

    (tmp_path / "file").write_bytes(bytes(8_000_000))
    async with Hasty() as controller, open_channel(parse_controller_address(controller.address)) as channel:
        client = BlobClient(channel, device_id="d")
        # Which of the two depends on whether the status overtakes the next write.
        with pytest.raises((TransferRefusedError, LinkDownError)):
            await client.upload(digest_of(bytes(8_000_000)), tmp_path / "file", grant=GRANT)
