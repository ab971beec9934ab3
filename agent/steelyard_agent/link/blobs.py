"""Moves blobs over gRPC: down from an offset, up from where the controller already has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import grpc
import grpc.aio

from steelyard_agent.jobs.errors import ControllerFullError, LinkDownError, TransferRefusedError
from steelyard_agent.jobs.port import HeldBlobs, TransferGrant
from steelyard_agent.link.blob_decoding import DELTA, STORED, ZSTD, Decoder, UndecodableError, can_decode
from steelyard_agent.link.chunk_size import CHUNK_S, ChunkSize
from steelyard_protocol.v1.blob_pb2 import (
    BlobGrant,
    DownloadRequest,
    DownloadResponse,
    QueryUploadRequest,
    UploadHeader,
    UploadRequest,
)
from steelyard_protocol.v1.blob_pb2_grpc import BlobServiceStub

if TYPE_CHECKING:
    from steelyard_protocol.v1.blob_pb2_grpc import BlobServiceAsyncStub

T = TypeVar("T")

_NO_PROGRESS_S = 30.0
# Whatever these codes mean in detail: the link, not the request, is at fault. INTERNAL is among them because a write
# on a call that the other side has just ended raises it in place of the status that is on its way; UNAUTHENTICATED
# because a certificate that ended in the middle is renewed with the next session.
_LINK_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
# What a controller says in the trailing metadata of a refusal.
_REASON_KEY = "steelyard-reason"


class BlobClient:
    """Blob transfers on one channel; their time-out is on progress, never on the whole."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        device_id: str,
        no_progress_s: float = _NO_PROGRESS_S,
        chunk_s: float = CHUNK_S,
    ) -> None:
        """Transfer on ``channel``; a chunk that goes up should take ``chunk_s``."""
        self._stub: BlobServiceAsyncStub = BlobServiceStub(channel)
        self._device_id = device_id
        self._no_progress_s = no_progress_s
        self._chunk_s = chunk_s
        # Blobs whose encoding went wrong.
        self._as_they_are: set[str] = set()

    async def download(
        self,
        digest: str,
        *,
        offset: int,
        size_bytes: int,
        grant: TransferGrant,
        write: Callable[[bytes], object],
        held: HeldBlobs | None = None,
    ) -> None:
        """See ``ControllerPort.download``."""
        _tune_once()
        request = DownloadRequest(digest=digest, offset=offset, grant=self._grant(grant))
        if digest not in self._as_they_are and can_decode():
            request.accepted_encodings.extend((ZSTD, DELTA))
            request.held_digests.extend(held.offered(size_bytes) if held is not None else ())
        call = self._stub.Download(request)
        received = offset
        decoder: Decoder | None = None
        try:
            while (message := await self._progress(call.read())) is not grpc.aio.EOF:
                assert isinstance(message, DownloadResponse)
                if message.size_bytes not in {0, size_bytes}:
                    raise _wrong_size(digest, message.size_bytes, size_bytes)
                if message.encoding != STORED:
                    _check_encoding(message, request, is_first=decoder is None and received == offset)
                    decoder = await _decoder(message, size_bytes - offset, held)
                for piece in (message.chunk,) if decoder is None else decoder.decode(message.chunk):
                    received += len(piece)
                    if received > size_bytes:
                        raise _wrong_size(digest, received, size_bytes)
                    write(piece)
        except UndecodableError as error:
            self._as_they_are.add(digest)
            raise LinkDownError(f"blob {digest[:12]}…: {error}; it is asked for as it is") from error
        except grpc.aio.AioRpcError as error:
            raise _translated(error, f"blob {digest[:12]}… is not served") from error
        finally:
            call.cancel()
        if received < size_bytes:
            raise LinkDownError(f"blob {digest[:12]}… ended after {received} of {size_bytes} bytes")

    async def upload(self, digest: str, path: Path, *, grant: TransferGrant) -> None:
        """See ``ControllerPort.upload``."""
        _tune_once()
        size_bytes = _size_of(path)
        query = QueryUploadRequest(digest=digest, size_bytes=size_bytes, grant=self._grant(grant))
        try:
            known = await self._progress(self._stub.QueryUpload(query))
            if known.complete:
                return
            if not 0 <= known.offset <= size_bytes:
                raise _wrong_size(digest, known.offset, size_bytes)
            header = UploadHeader(digest=digest, size_bytes=size_bytes, offset=known.offset, grant=self._grant(grant))
            with path.open("rb") as file:
                file.seek(known.offset)
                await self._send(header, file)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, f"blob {digest[:12]}… is not taken") from error

    async def _send(self, header: UploadHeader, file: BinaryIO) -> None:
        call = self._stub.Upload()
        try:
            await self._progress(call.write(UploadRequest(header=header)))
            size = ChunkSize(self._chunk_s)
            while chunk := file.read(size.bytes):
                await self._progress(call.write(UploadRequest(chunk=chunk)))
                size.sent(len(chunk))
            await self._progress(call.done_writing())
            await self._progress(call)
        except asyncio.InvalidStateError:
            # The controller ended the call while we still wrote: its status is in the call.
            await self._progress(call)
        finally:
            call.cancel()

    async def _progress(self, step: Awaitable[T]) -> T:
        """Wait for one step of a transfer, as long as a transfer may stand still."""
        # Not wait_for: it cancels the step, and with it the whole call, whose status would be lost.
        future = asyncio.ensure_future(step)
        try:
            done, _ = await asyncio.wait({future}, timeout=self._no_progress_s)
        except asyncio.CancelledError:
            future.cancel()
            raise
        if not done:
            future.cancel()
            raise LinkDownError(f"a transfer stood still for {self._no_progress_s:g} s")
        if future.cancelled():
            # Not we: gRPC does it to the calls of a channel that was closed, which is no reason to end a task.
            raise LinkDownError("the connection was closed in the middle of a transfer")
        return future.result()

    def _grant(self, grant: TransferGrant) -> BlobGrant:
        return BlobGrant(device_id=self._device_id, job_id=grant.job_id, epoch=grant.epoch)


def _check_encoding(message: DownloadResponse, request: DownloadRequest, *, is_first: bool) -> None:
    """Refuse what was not asked for: it may take more memory than there is.

    Raises:
        UndecodableError: That is the case.
    """
    is_known = message.encoding != DELTA or message.base_digest in request.held_digests
    if not (is_first and is_known and message.encoding in request.accepted_encodings):
        raise UndecodableError("an encoding came that was not asked for")


async def _decoder(message: DownloadResponse, left_bytes: int, held: HeldBlobs | None) -> Decoder:
    """Return what decodes the chunks after ``message``.

    Raises:
        UndecodableError: It is a delta to what is not here any more.
    """
    if message.encoding != DELTA:
        return Decoder(left_bytes)
    base = await asyncio.to_thread(held.content, message.base_digest) if held is not None else None
    if base is None:
        raise UndecodableError(f"a delta to {message.base_digest[:12]!r} came, which is not here")
    return Decoder(left_bytes, base)


@cache
def _tune_once() -> None:
    """With the first transfer: an agent that idles imports nothing for it."""
    from steelyard_agent.link.allocator import tune_allocator

    tune_allocator()


def _size_of(path: Path) -> int:
    return path.stat().st_size


def _wrong_size(digest: str, found: int, expected: int) -> TransferRefusedError:
    return TransferRefusedError(
        "blob_mismatch", f"the controller has blob {digest[:12]}… with {found} bytes where {expected} are right"
    )


def _translated(error: grpc.aio.AioRpcError, what: str) -> LinkDownError | ControllerFullError | TransferRefusedError:
    sentence = f"{what} ({error.code().name.lower()}): {error.details() or 'no details'}"
    if error.code() in _LINK_CODES:
        return LinkDownError(sentence)
    if dict(error.trailing_metadata() or ()).get(_REASON_KEY) == "disk_full":
        return ControllerFullError(sentence)
    return TransferRefusedError("transfer_refused", sentence)
