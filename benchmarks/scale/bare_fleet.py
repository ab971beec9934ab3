"""Bare grpc.aio in the controller's place: the same messages, ports and certificates, no store and no decisions."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from pathlib import Path

import grpc
import grpc.aio

from steelyard.fleet.transport import SERVER_OPTIONS
from steelyard.identity.authority import make_controller_certificate
from steelyard.identity.folder import IdentityFolder
from steelyard_protocol.v1 import session_pb2, session_pb2_grpc

_HEARTBEAT_MS = 15_000

Context = grpc.aio.ServicerContext[session_pb2.ConnectRequest, session_pb2.ConnectResponse]


class _Stream:
    """One session's answers: two writes at once end a call."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._writing = asyncio.Lock()
        self._last_id = 0

    async def say(self, message: session_pb2.ConnectResponse) -> None:
        async with self._writing:
            self._last_id += 1
            message.message_id = self._last_id
            await self._context.write(message)


class BareFleet(session_pb2_grpc.SessionServiceServicer):
    """Welcomes, acknowledges, offers. Used from one event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Stream] = {}
        self._answers: dict[str, asyncio.Future[None]] = {}

    def device_ids(self) -> list[str]:
        """Return who is connected."""
        return list(self._sessions)

    async def offer(self, device_id: str, offer: session_pb2.JobOffer) -> None:
        """Offer a job and wait for the answer."""
        answered = self._answers[offer.job_id] = asyncio.get_running_loop().create_future()
        await self._sessions[device_id].say(session_pb2.ConnectResponse(job_offer=offer))
        await answered

    async def Connect(self, request_iterator: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        """Serve one agent."""
        first = await context.read()
        assert isinstance(first, session_pb2.ConnectRequest)
        device_id = first.hello.device.device_id
        stream = _Stream(context)
        welcome = session_pb2.Welcome(controller_id="bare", heartbeat_interval_ms=_HEARTBEAT_MS)
        await stream.say(session_pb2.ConnectResponse(welcome=welcome))
        self._sessions[device_id] = stream
        try:
            while isinstance(message := await context.read(), session_pb2.ConnectRequest):
                kind = message.WhichOneof("payload")
                if kind == "lease_answer":
                    self._answers.pop(message.lease_answer.job_id).set_result(None)
                elif kind == "heartbeat":
                    receipt = session_pb2.Acknowledgement(message_id=message.message_id)
                    await stream.say(session_pb2.ConnectResponse(acknowledgement=receipt))
        finally:
            self._sessions.pop(device_id, None)


async def start_bare(fleet: BareFleet, state: Path, controller_id: str) -> tuple[grpc.aio.Server, str]:
    """Listen with the authority of a controller's state directory; return where."""
    now = datetime.now(tz=timezone.utc)
    identity = IdentityFolder(state / "identity").open(controller_id, now)
    shown = make_controller_certificate(identity.authority, controller_id, now)
    credentials = grpc.ssl_server_credentials(
        [(shown.key_pem, shown.certificate_pem)],
        root_certificates=identity.authorities_pem,
        require_client_auth=True,
    )
    server = grpc.aio.server(options=SERVER_OPTIONS)
    session_pb2_grpc.add_SessionServiceServicer_to_server(fleet, server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, f"127.0.0.1:{port}"
