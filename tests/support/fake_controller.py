"""A small real controller: gRPC on loopback, everything in memory, and every kind of trouble on request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc, session_pb2_grpc
from steelyard_protocol.v1.result_pb2 import RoundResult
from steelyard_protocol.v1.session_pb2 import (
    Acknowledgement,
    ConnectRequest,
    ConnectResponse,
    ResultAcknowledgement,
    Welcome,
)

# An agent is a process that imports gRPC: a machine that others keep busy takes its time for that.
WAIT_S = 120.0


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FakeController(session_pb2_grpc.SessionServiceServicer, blob_pb2_grpc.BlobServiceServicer):
    """Welcomes every agent, acknowledges every message, serves ``blobs``, keeps ``uploads`` and ``received``."""

    def __init__(self, *, heartbeat_ms: int = 60_000, records: bool = True, welcomes: bool = True) -> None:
        self.heartbeat_ms = heartbeat_ms
        self.records = records
        self.welcomes = welcomes
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.received: list[ConnectRequest] = []
        self.acknowledged: list[int] = []
        self.session_count = 0
        self.downloads: list[blob_pb2.DownloadRequest] = []
        self.upload_headers: list[blob_pb2.UploadHeader] = []
        # Break the next download off after so many bytes.
        self.break_download_after: int | None = None
        self.refuse_uploads = False
        self.port = 0
        self._seen = 0
        self._changed = asyncio.Event()
        self._outgoing: asyncio.Queue[ConnectResponse | None] = asyncio.Queue()
        self._last_id = 0
        self._server: grpc.aio.Server | None = None

    async def start(self, port: int = 0) -> int:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        session_pb2_grpc.add_SessionServiceServicer_to_server(self, self._server)
        blob_pb2_grpc.add_BlobServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()
        return self.port

    async def stop(self) -> None:
        """Go away without a word."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def __aenter__(self) -> FakeController:  # noqa: PYI034 (typing.Self is of 3.11)
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        # Also after a failed assertion: a server that is collected while it runs fails another test.
        await self.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add_blob(self, content: bytes) -> str:
        self.blobs[digest_of(content)] = content
        return digest_of(content)

    def say(self, **payload: Any) -> None:
        self._last_id += 1
        self._outgoing.put_nowait(ConnectResponse(message_id=self._last_id, **payload))

    def end_session(self) -> None:
        self._outgoing.put_nowait(None)

    def all(self, kind: str) -> list[Any]:
        return [getattr(m, kind) for m in self.received if m.WhichOneof("payload") == kind]

    def rounds(self) -> list[RoundResult]:
        """Every announced round, in the order of the announcements, repeats included."""
        return [RoundResult.FromString(bytes(self.uploads[m.result_digest])) for m in self.all("round_ready")]

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until ``condition`` is true; it is asked whenever something arrives."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while not (value := condition()):
            self._changed.clear()
            waiting = asyncio.ensure_future(self._changed.wait())
            left = deadline - asyncio.get_running_loop().time()
            # Some conditions look at the agent's files: those make no noise here.
            await asyncio.wait({waiting}, timeout=min(0.02, max(left, 0)))
            waiting.cancel()
            kinds = [m.WhichOneof("payload") for m in self.received]
            assert left > 0, f"waited {WAIT_S} s; received {kinds}"
        return value

    async def wait_for(self, kind: str, count: int = 1) -> Any:
        """Wait until ``count`` messages of a kind have come in all, and return the last of these."""
        await self.until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[count - 1]

    async def Connect(
        self, request_iterator: AsyncIterator[ConnectRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[ConnectResponse]:
        self.session_count += 1
        self._outgoing, self._last_id = asyncio.Queue(), 0
        mine = self._outgoing
        reading = asyncio.ensure_future(self._read_all(request_iterator, mine))
        try:
            while (message := await mine.get()) is not None:
                yield message
        finally:
            reading.cancel()

    async def _read_all(
        self, requests: AsyncIterator[ConnectRequest], outgoing: asyncio.Queue[ConnectResponse | None]
    ) -> None:
        async for message in requests:
            self.received.append(message)
            self._changed.set()
            kind = message.WhichOneof("payload")
            if kind == "acknowledgement":
                self.acknowledged.append(message.acknowledgement.message_id)
                continue
            self.say(acknowledgement=Acknowledgement(message_id=message.message_id))
            if kind == "hello" and self.welcomes:
                self.say(welcome=Welcome(controller_id="fake", heartbeat_interval_ms=self.heartbeat_ms))
            elif kind == "round_ready" and self.records:
                self.say(result_acknowledgement=ResultAcknowledgement(keys=[message.round_ready.key]))
            elif kind == "goodbye":
                break
        outgoing.put_nowait(None)

    async def Download(
        self, request: blob_pb2.DownloadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[blob_pb2.DownloadResponse]:
        self.downloads.append(request)
        content = self.blobs.get(request.digest)
        if content is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no blob {request.digest}")
            return
        size, sent = len(content), 0
        for at in range(request.offset, size, 1000):
            if self.break_download_after is not None and sent >= self.break_download_after:
                self.break_download_after = None
                await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            yield blob_pb2.DownloadResponse(size_bytes=size if sent == 0 else 0, chunk=content[at : at + 1000])
            sent += 1000

    async def QueryUpload(
        self, request: blob_pb2.QueryUploadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> blob_pb2.QueryUploadResponse:
        if self.refuse_uploads:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no lease")
        here = len(self.uploads.get(request.digest, b""))
        return blob_pb2.QueryUploadResponse(offset=here, complete=here == request.size_bytes)

    async def Upload(
        self,
        request_iterator: AsyncIterator[blob_pb2.UploadRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> blob_pb2.UploadResponse:
        digest = ""
        async for message in request_iterator:
            if message.WhichOneof("payload") == "header":
                self.upload_headers.append(message.header)
                digest = message.header.digest
                self.uploads.setdefault(digest, bytearray())
            else:
                self.uploads[digest] += message.chunk
        assert digest_of(bytes(self.uploads[digest])) == digest
        return blob_pb2.UploadResponse(size_bytes=len(self.uploads[digest]))
