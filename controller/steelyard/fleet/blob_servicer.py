"""BlobService: content-addressed bytes both ways, with a gate that says who may have and bring what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from steelyard.errors import NotFoundError, SteelyardError, UsageError
from steelyard.fleet.blob_encoding import DELTA, STORED, EncodingChooser, Sending
from steelyard.fleet.chunk_size import CHUNK_S, ChunkSize
from steelyard.fleet.read_ahead import read_ahead
from steelyard.fleet.refusals import REASON_KEY
from steelyard.fleet.standstill import NO_PROGRESS_S, SIGN_S, StoodStillError, Turns, within
from steelyard.fleet.transport import MAX_PARALLEL_DOWNLOADS
from steelyard.store.blobs import BlobStore
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc

if TYPE_CHECKING:
    # Generic in the stubs only.
    _DownloadContext = grpc.aio.ServicerContext[blob_pb2.DownloadRequest, blob_pb2.DownloadResponse]

_MOST_HELD = 32
_MOST_DELTAS = 2
# What one blob may have; a round of samples is some 100 KiB, outputs have a quota of their own in the plan.
MAX_UPLOAD_BYTES = 2 * 1024**3


class BlobRefusedError(SteelyardError):
    """Somebody asked for a blob that is not theirs to have or to bring."""


async def _no_bases(_digest: str, _held: Sequence[str]) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobGate:
    """Who may have which digest, and bring which one of so many bytes; both raise BlobRefusedError to refuse.

    ``find_bases`` returns those of the digests that a blob may resemble, the most promising first.
    """

    may_download: Callable[[blob_pb2.BlobGrant, str], Awaitable[None]]
    may_upload: Callable[[blob_pb2.BlobGrant, str, int], Awaitable[None]]
    find_bases: Callable[[str, Sequence[str]], Awaitable[Sequence[str]]] = _no_bases


class BlobServicer(blob_pb2_grpc.BlobServiceServicer):
    """Serves one blob store. Files are read and written in chunks, in threads; a transfer holds two chunks at most."""

    def __init__(
        self,
        blobs: BlobStore,
        gate: BlobGate,
        *,
        chunk_s: float = CHUNK_S,
        no_progress_s: float = NO_PROGRESS_S,
        sign_s: float = SIGN_S,
    ) -> None:
        """Serve ``blobs`` to whom ``gate`` lets in; a chunk should take ``chunk_s``.

        A transfer whose other side neither reads nor sends for ``no_progress_s`` ends; a download that waits for its
        turn shows every ``sign_s`` that it is not forgotten.
        """
        self._blobs = blobs
        self._chunk_s = chunk_s
        self._no_progress_s = no_progress_s
        self._gate = gate
        self._chooser = EncodingChooser(blobs)
        self._delta_count = 0
        self._turns = Turns(MAX_PARALLEL_DOWNLOADS, sign_s=sign_s)

    # A coroutine that writes, no generator: a write that nobody reads can be left alone, a yield cannot.
    async def Download(  # type: ignore[override] # noqa: N802
        self, request: blob_pb2.DownloadRequest, context: _DownloadContext
    ) -> None:
        """Stream a blob from an offset."""
        try:
            await self._gate.may_download(request.grant, request.digest)
            size_bytes = self._blobs.size(request.digest)
            if not 0 <= request.offset <= size_bytes:
                raise BlobRefusedError("bad_offset", f"offset {request.offset} lies outside the {size_bytes} bytes")
            # Before its turn: to wait in a queue is not to stand still.
            await self._tell(context, blob_pb2.DownloadResponse(size_bytes=size_bytes))
            await self._turns.take(lambda: self._tell(context, blob_pb2.DownloadResponse()))
            try:
                await self._send(request, context)
            finally:
                self._turns.leave()
        except SteelyardError as error:
            await _abort(context, error)

    async def _send(self, request: blob_pb2.DownloadRequest, context: _DownloadContext) -> None:
        size = ChunkSize(self._chunk_s)
        async with self._sending(request) as sending:
            encoding = sending.encoding
            if encoding.kind != STORED:
                head = blob_pb2.DownloadResponse(encoding=encoding.kind, base_digest=encoding.base_digest)
                await self._tell(context, head)
            left_bytes = self._blobs.size(request.digest) - request.offset
            chunks = self._blobs.open(request.digest, request.offset, lambda: size.bytes)
            async with aclosing(read_ahead(sending.chunks(chunks, left_bytes))) as ahead:
                async for chunk in ahead:
                    await self._tell(context, blob_pb2.DownloadResponse(chunk=chunk))
                    size.sent(len(chunk))

    @asynccontextmanager
    async def _sending(self, request: blob_pb2.DownloadRequest) -> AsyncIterator[Sending]:
        bases: Sequence[str] = ()
        held = tuple(request.held_digests[:_MOST_HELD])
        # Each holds its base in memory; whoever comes when there are enough does without.
        is_delta = bool(held) and self._delta_count < _MOST_DELTAS
        self._delta_count += is_delta
        try:
            if is_delta:
                bases = await self._gate.find_bases(request.digest, held)
            accepted = tuple(request.accepted_encodings)
            sending = await asyncio.to_thread(self._chooser.sending, request.digest, accepted, bases)
            if is_delta and sending.encoding.kind != DELTA:
                is_delta = False
                self._delta_count -= 1
            yield sending
        finally:
            self._delta_count -= is_delta

    async def _tell(self, context: _DownloadContext, message: blob_pb2.DownloadResponse) -> None:
        await within(context.write(message), self._no_progress_s)

    async def QueryUpload(  # noqa: N802
        self,
        request: blob_pb2.QueryUploadRequest,
        context: grpc.aio.ServicerContext[blob_pb2.QueryUploadRequest, blob_pb2.QueryUploadResponse],
    ) -> blob_pb2.QueryUploadResponse:
        """Say how much of an upload is here already."""
        try:
            await self._check_upload(request.grant, request.digest, request.size_bytes)
            offset = self._blobs.received_bytes(request.digest, owner=_owner(request.grant))
            return blob_pb2.QueryUploadResponse(offset=offset, complete=self._blobs.has(request.digest))
        except SteelyardError as error:
            await _abort(context, error)

    async def Upload(  # noqa: N802
        self,
        request_iterator: AsyncIterator[blob_pb2.UploadRequest],
        context: grpc.aio.ServicerContext[blob_pb2.UploadRequest, blob_pb2.UploadResponse],
    ) -> blob_pb2.UploadResponse:
        """Take a blob from the offset in its header on."""
        try:
            first = await self._next(request_iterator)
            if first is None or first.WhichOneof("payload") != "header":
                raise BlobRefusedError("no_header", "an upload begins with a header that names its digest and size")
            return await self._receive(first.header, request_iterator)
        except SteelyardError as error:
            await _abort(context, error)

    async def _receive(
        self, header: blob_pb2.UploadHeader, chunks: AsyncIterator[blob_pb2.UploadRequest]
    ) -> blob_pb2.UploadResponse:
        await self._check_upload(header.grant, header.digest, header.size_bytes)
        if self._blobs.has(header.digest):
            return blob_pb2.UploadResponse(size_bytes=header.size_bytes)
        # Hashes what is already here: about a second for each gigabyte, so not on the event loop.
        upload = await asyncio.to_thread(
            self._blobs.begin, header.digest, header.size_bytes, owner=_owner(header.grant)
        )
        try:
            if upload.offset != header.offset:
                raise BlobRefusedError(
                    "bad_offset", f"this upload goes on at byte {upload.offset}, not at {header.offset}; ask again"
                )
            while (request := await self._next(chunks)) is not None:
                # Hashes, and waits for a disk.
                await asyncio.to_thread(upload.write, request.chunk)
            await asyncio.to_thread(upload.finish)
        finally:
            upload.pause()
        return blob_pb2.UploadResponse(size_bytes=header.size_bytes)

    async def _next(self, requests: AsyncIterator[blob_pb2.UploadRequest]) -> blob_pb2.UploadRequest | None:
        return await within(anext(requests, None), self._no_progress_s)

    async def _check_upload(self, grant: blob_pb2.BlobGrant, digest: str, size_bytes: int) -> None:
        if not 0 <= size_bytes <= MAX_UPLOAD_BYTES:
            raise BlobRefusedError("too_large", f"a blob of {size_bytes} bytes is past the limit of {MAX_UPLOAD_BYTES}")
        await self._gate.may_upload(grant, digest, size_bytes)


def _owner(grant: blob_pb2.BlobGrant) -> str:
    """Two senders of the same bytes never write into one partial file."""
    return f"{grant.device_id}/{grant.job_id}"


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: SteelyardError) -> NoReturn:
    # What the store could not do (a full disk, a damaged file) is neither the asker's fault nor the link's: a client
    # makes infrastructure trouble of it, an agent does not try again for ever.
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    if isinstance(error, NotFoundError):
        code = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, UsageError):
        code = grpc.StatusCode.INVALID_ARGUMENT
    elif error.reason == "bad_offset" or isinstance(error, StoodStillError):
        # Not final: another transfer of the same bytes moved the end; ask again where to go on.
        code = grpc.StatusCode.ABORTED
    elif isinstance(error, BlobRefusedError):
        code = grpc.StatusCode.PERMISSION_DENIED
    # Where nobody reads, this waits behind the last message until the connection ends; the place is another's by then.
    await context.abort(code, str(error), trailing_metadata=((REASON_KEY, error.reason),))
    raise AssertionError("abort raises")
