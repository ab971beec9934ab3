"""SessionService: translates an agent's messages into calls on the fleet and the store, and answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from steelyard import __version__
from steelyard.errors import SteelyardError
from steelyard.fleet.inbox import RoundRecorded
from steelyard.fleet.refusals import refuse
from steelyard.fleet.registry import DeviceLink, Fleet
from steelyard.fleet.transport import MAX_SESSION_MESSAGE_BYTES
from steelyard.identity.errors import IdentityError
from steelyard.log_context import DEVICE_ID
from steelyard_protocol.v1 import result_pb2, session_pb2, session_pb2_grpc

_log = logging.getLogger(__name__)

_FromAgent = session_pb2.LeaseAnswer | session_pb2.JobProgress | session_pb2.GrantFinished | session_pb2.JobFailed
Context = grpc.aio.ServicerContext[session_pb2.ConnectRequest, session_pb2.ConnectResponse]


async def _nobody_cares(_device_id: str, _removed: session_pb2.BlobsRemoved) -> None:
    """Where no history is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHooks:
    """What the session needs from the controller.

    ``register`` stores who a device is, may give it the name that it has here, and raises to refuse it; ``record``
    stores a round that was uploaded and returns it (idempotent, raises SteelyardError when it is not to be had);
    ``recorded`` tells which of these rounds are in the store already; ``runs`` tells whether a job runs here now;
    ``removed`` takes note that a device removed confidential blobs.
    """

    register: Callable[[session_pb2.Hello], Awaitable[None]]
    record: Callable[[str, session_pb2.RoundReady], Awaitable[result_pb2.RoundResult]]
    recorded: Callable[[list[result_pb2.ResultKey]], Awaitable[list[result_pb2.ResultKey]]]
    runs: Callable[[str], bool]
    removed: Callable[[str, session_pb2.BlobsRemoved], Awaitable[None]] = _nobody_cares


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """One call of ``Connect`` is one agent's session."""

    def __init__(
        self,
        fleet: Fleet,
        hooks: SessionHooks,
        *,
        controller_id: str,
        heartbeat_interval_s: float,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Serve for ``fleet``; devices are told what ``clock_ns`` (since the epoch) says: certificates end by it."""
        self._clock_ns = clock_ns
        self._fleet = fleet
        self._hooks = hooks
        self._controller_id = controller_id
        self._heartbeat_interval_s = heartbeat_interval_s

    async def Connect(self, request_iterator: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        """Serve one agent until it leaves, goes silent, or is replaced by its own newer session."""
        try:
            first = await context.read()
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "what was sent is no message of a session")
        if not isinstance(first, session_pb2.ConnectRequest):
            return
        await _refuse_too_large(first, context)
        if first.WhichOneof("payload") != "hello" or not first.hello.device.device_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a session begins with a hello that names its device")
        hello = first.hello
        try:
            await self._hooks.register(hello)
        except IdentityError as error:
            await refuse(context, error)
        except SteelyardError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        DEVICE_ID.set(hello.device.device_id)
        link = DeviceLink(hello.device.device_id, hello.device.name)
        self._welcome(link, first.message_id)
        await self._acknowledge_recorded(link, list(hello.unacknowledged))
        self._release_dead_lease(link, hello.lease)
        writer = asyncio.create_task(_write_all(link, context))
        reason = "the connection broke"
        try:
            # Inside: a call that is ended from outside while it attaches must not stay among the present.
            await self._fleet.attach(link, hello)
            _log.info("device %s connected (agent %s)", link.name, hello.agent_version)
            reason = await self._read_all(link, context, writer)
        finally:
            writer.cancel()
            await self._fleet.detach(link, reason)
            _log.info("device %s left: %s", link.name, reason)

    def _welcome(self, link: DeviceLink, hello_id: int) -> None:
        welcome = session_pb2.Welcome(
            controller_id=self._controller_id,
            controller_version=__version__,
            heartbeat_interval_ms=int(self._heartbeat_interval_s * 1000),
        )
        welcome.now.FromNanoseconds(self._clock_ns())
        link.send(session_pb2.ConnectResponse(acknowledgement=session_pb2.Acknowledgement(message_id=hello_id)))
        link.send(session_pb2.ConnectResponse(welcome=welcome))

    def _release_dead_lease(self, link: DeviceLink, lease: session_pb2.Lease) -> None:
        """Free a device of a job that nobody runs any more; whatever we say would renew its lease otherwise."""
        if lease.job_id and not self._hooks.runs(lease.job_id):
            release = session_pb2.LeaseRelease(job_id=lease.job_id, attempt=lease.attempt)
            link.send(session_pb2.ConnectResponse(lease_release=release))

    async def _acknowledge_recorded(self, link: DeviceLink, held: list[result_pb2.ResultKey]) -> None:
        keys = await self._hooks.recorded(held) if held else []
        if keys:
            acknowledgement = session_pb2.ResultAcknowledgement(keys=keys)
            link.send(session_pb2.ConnectResponse(result_acknowledgement=acknowledgement))

    async def _read_all(self, link: DeviceLink, context: Context, writer: asyncio.Task[None]) -> str:
        """Read until the session ends; return why it did."""
        while True:
            read = asyncio.ensure_future(context.read())
            try:
                # wait_for around read() would cancel the whole call on a time-out: asyncio.wait does not.
                done, _ = await asyncio.wait(
                    {read, writer}, timeout=self._silence_limit_s(link), return_when=asyncio.FIRST_COMPLETED
                )
            except asyncio.CancelledError:
                # Ended from outside (a revoked certificate): nobody is left to hear how this read ends.
                read.cancel()
                raise
            if read not in done:
                read.cancel()
                return _why_unread(writer)
            try:
                message = read.result()
            except DecodeError:
                return "it sent what is no message of a session"
            if not isinstance(message, session_pb2.ConnectRequest):
                return "the connection was closed without a goodbye"
            await _refuse_too_large(message, context)
            if message.WhichOneof("payload") == "goodbye":
                return f"goodbye: {message.goodbye.reason}"
            await self._handle(link, message)

    def _silence_limit_s(self, link: DeviceLink) -> float:
        """Three heartbeats; a running job keeps the link quiet while its longest block is timed."""
        presence = self._fleet.presence(link.device_id)
        busy_s = presence.quiet_s if presence is not None else 0.0
        return 3 * self._heartbeat_interval_s + busy_s

    async def _handle(self, link: DeviceLink, message: session_pb2.ConnectRequest) -> None:
        kind = message.WhichOneof("payload")
        self._fleet.seen(link.device_id, message.heartbeat if kind == "heartbeat" else None)
        if kind == "acknowledgement" or kind is None:
            return
        receipt = session_pb2.Acknowledgement(message_id=message.message_id)
        link.send(session_pb2.ConnectResponse(acknowledgement=receipt))
        if kind == "heartbeat":
            # The release of a job that ended while the link broke was never heard.
            self._release_dead_lease(link, message.heartbeat.lease)
        if kind == "lease_answer":
            self._tell_job(link, message.lease_answer)
        elif kind == "job_progress":
            self._tell_job(link, message.job_progress)
        elif kind == "grant_finished":
            self._tell_job(link, message.grant_finished)
        elif kind == "job_failed":
            self._tell_job(link, message.job_failed)
        elif kind == "round_ready":
            await self._record(link, message.round_ready)
        elif kind == "blobs_removed":
            await self._removed(link, message.blobs_removed)

    async def _removed(self, link: DeviceLink, removed: session_pb2.BlobsRemoved) -> None:
        try:
            await self._hooks.removed(link.device_id, removed)
        except SteelyardError as error:
            _log.warning("that device %s removed confidential blobs was not recorded: %s", link.device_id, error)

    def _tell_job(self, link: DeviceLink, news: _FromAgent) -> None:
        self._fleet.tell_job(news.job_id, news, device_id=link.device_id)

    async def _record(self, link: DeviceLink, ready: session_pb2.RoundReady) -> None:
        try:
            result = await self._hooks.record(link.device_id, ready)
        except SteelyardError as error:
            # Not acknowledged: the agent keeps it and offers it again at its next session.
            _log.warning("round %d of job %s was not recorded: %s", ready.key.round_index, ready.key.job_id, error)
            return
        acknowledgement = session_pb2.ResultAcknowledgement(keys=[ready.key])
        link.send(session_pb2.ConnectResponse(result_acknowledgement=acknowledgement))
        recorded = RoundRecorded(key=ready.key, result=result)
        self._fleet.tell_job(ready.key.job_id, recorded, device_id=link.device_id)


def _why_unread(writer: asyncio.Task[None]) -> str:
    """Say why nothing is read any more: the writer ended (told to, or the stream broke under it), or time did."""
    if not writer.done():
        return "it went silent"
    return "a newer session took its place" if writer.exception() is None else "the connection broke"


async def _refuse_too_large(message: session_pb2.ConnectRequest, context: Context) -> None:
    if message.ByteSize() > MAX_SESSION_MESSAGE_BYTES:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "a session message is at most 64 KiB")


async def _write_all(link: DeviceLink, context: Context) -> None:
    """Send what is queued; the only task that writes to this stream (two at once end the call)."""
    while True:
        message = await link.outgoing.get()
        if message is None:
            return
        await context.write(message)
