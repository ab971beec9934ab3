"""An agent by hand: real gRPC on loopback, every message under the test's control."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

import grpc
import grpc.aio

from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc, common_pb2, result_pb2, session_pb2, session_pb2_grpc

WAIT_S = 60.0


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hello_of(device_id: str, name: str, **fields: Any) -> session_pb2.Hello:
    description = common_pb2.DeviceDescription(device_id=device_id, name=name, logical_core_count=4)
    return session_pb2.Hello(device=description, boot_id="boot-1", agent_version="0.1.0", protocol_version=1, **fields)


class ScriptedAgent:
    """One session at a time. Received messages stay in ``received``; ``wait_for`` waits for one of a kind."""

    def __init__(self, address: str, *, device_id: str = "dev-0001", name: str = "pi5") -> None:
        self.device_id = device_id
        self.name = name
        # Of the lease that it granted last; what it sends, it sends under this one.
        self.epoch = 1
        self.received: list[session_pb2.ConnectResponse] = []
        self.ended = asyncio.Event()
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._sessions = session_pb2_grpc.SessionServiceStub(self._channel)
        self.blobs = blob_pb2_grpc.BlobServiceStub(self._channel)
        self._arrived = asyncio.Event()
        self._last_id = 0
        self.call: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Begin a session without a word."""
        self.received.clear()
        self.ended.clear()
        self._last_id = 0
        self.call = self._sessions.Connect()
        self._reader = asyncio.create_task(self._read_all(self.call))

    async def say_hello(self, **fields: Any) -> None:
        """Open a session, say hello and wait for the welcome."""
        await self.open()
        await self.say(hello=hello_of(self.device_id, self.name, **fields))
        await self.wait_for("welcome")

    async def say(self, **payload: Any) -> int:
        """Send a message and return its id."""
        self._last_id += 1
        await self.call.write(session_pb2.ConnectRequest(message_id=self._last_id, **payload))
        return self._last_id

    async def hang_up(self) -> None:
        """Break the session off without a goodbye."""
        self.call.cancel()
        await self.ended.wait()

    async def close(self) -> None:
        if self.call is not None:
            self.call.cancel()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._channel.close()

    def all(self, kind: str) -> list[Any]:
        return [getattr(one, kind) for one in self.received if one.WhichOneof("payload") == kind]

    async def wait_for(self, kind: str, count: int = 1) -> Any:
        """Return the ``count``-th message of a kind."""
        await self.until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[count - 1]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until ``condition`` is true; it is asked whenever a message arrives or the session ends."""

        async def watch() -> None:
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

        await asyncio.wait_for(watch(), WAIT_S)

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Return how the session ended."""
        return await self.call.code(), await self.call.details()

    async def _read_all(self, call: Any) -> None:
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                self.received.append(message)
                self._arrived.set()
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass
        finally:
            self.ended.set()
            self._arrived.set()

    # -- blobs --------------------------------------------------------------------------------------------------

    def grant(self, job_id: str) -> blob_pb2.BlobGrant:
        return blob_pb2.BlobGrant(device_id=self.device_id, job_id=job_id, epoch=self.epoch)

    async def upload(
        self, content: bytes, job_id: str = "job-0001", refused_at: int | None = None, **header: Any
    ) -> blob_pb2.UploadResponse:
        """Send the content; or its messages up to the ``refused_at``-th, whose refusal is then waited for.

        A message that is written while the refusal is on its way fails by itself, and its error hides the refusal.
        """
        fields = {"digest": digest_of(content), "size_bytes": len(content), "offset": 0, **header}
        first = blob_pb2.UploadHeader(grant=self.grant(job_id), **fields)
        requests = [blob_pb2.UploadRequest(header=first)]
        requests += [blob_pb2.UploadRequest(chunk=content[at : at + 1000]) for at in range(0, len(content), 1000)]

        async def messages() -> AsyncIterator[blob_pb2.UploadRequest]:
            for request in requests[:refused_at]:
                yield request
            if refused_at is not None:
                await asyncio.Event().wait()

        return await self.blobs.Upload(messages(), timeout=30)

    async def download(self, digest: str, job_id: str = "job-0001", offset: int = 0) -> bytes:
        request = blob_pb2.DownloadRequest(digest=digest, offset=offset, grant=self.grant(job_id))
        return b"".join([message.chunk async for message in self.blobs.Download(request)])

    # -- doing a job --------------------------------------------------------------------------------------------

    async def accept_job(self, epoch: int = 1, *, count: int = 1) -> session_pb2.JobOffer:
        """Wait for the ``count``-th offer and take it."""
        offer = await self.wait_for("job_offer", count)
        self.epoch = epoch
        lease = session_pb2.Lease(job_id=offer.job_id, attempt=offer.attempt, epoch=epoch, ttl_ms=offer.lease_ttl_ms)
        await self.say(lease_answer=session_pb2.LeaseAnswer(job_id=offer.job_id, attempt=offer.attempt, lease=lease))
        return offer

    async def run_rounds(
        self, rounds: Sequence[result_pb2.RoundResult], *, epoch: int = 1, outputs: Sequence[bytes] = ()
    ) -> None:
        """Upload rounds and say that they are ready, each when the one before was acknowledged."""
        for blob in outputs:
            await self.upload(blob, rounds[0].job_id)
        for done, result in enumerate(rounds, start=len(self.all("result_acknowledgement")) + 1):
            await self.say(round_ready=await self.prepared(result, epoch=epoch))
            await self.wait_for("result_acknowledgement", done)

    async def prepared(self, result: result_pb2.RoundResult, *, epoch: int = 1) -> session_pb2.RoundReady:
        """Upload a round and return what announces it."""
        content = result.SerializeToString()
        await self.upload(content, result.job_id)
        return session_pb2.RoundReady(
            key=key_of(result), epoch=epoch, result_digest=digest_of(content), result_size_bytes=len(content)
        )


def key_of(result: result_pb2.RoundResult) -> result_pb2.ResultKey:
    return result_pb2.ResultKey(
        job_id=result.job_id,
        attempt=result.attempt,
        pass_kind=result.pass_kind,
        round_index=result.round_index,
    )
