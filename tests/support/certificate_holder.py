"""A device or a person with a certificate, made as an agent makes it: over the enrollment port, by a join code."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import uuid
from dataclasses import dataclass, replace

import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import Message

from steelyard.identity.join_code import decode_join_code
from steelyard_protocol.v1 import common_pb2, enrollment_pb2, enrollment_pb2_grpc, session_pb2, session_pb2_grpc

OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


def make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def request_pem(key: ec.EllipticCurvePrivateKey, name: str = "ignored") -> str:
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """What is stored after an enrollment."""

    device_id: str
    name: str
    tags: tuple[str, ...]
    key: ec.EllipticCurvePrivateKey
    credentials: enrollment_pb2.Credentials

    def channel(self, address: str = "") -> grpc.aio.Channel:
        """A channel to the port with certificates."""
        credentials = grpc.ssl_channel_credentials(
            self.credentials.authorities_pem.encode(), key_pem(self.key), self.credentials.certificate_pem.encode()
        )
        name = ("grpc.ssl_target_name_override", self.credentials.controller_name)
        address = address or self.credentials.addresses[0]
        return grpc.aio.secure_channel(address, credentials, options=[*OPTIONS, name])

    def with_certificate(self, certificate_pem: str) -> Holder:
        credentials = enrollment_pb2.Credentials()
        credentials.CopyFrom(self.credentials)
        credentials.certificate_pem = certificate_pem
        return replace(self, credentials=credentials)

    def renewed(self, credentials: enrollment_pb2.Credentials) -> Holder:
        return replace(self, credentials=credentials)


async def enrollment_channel(code_text: str) -> grpc.aio.Channel:
    """A channel to the enrollment port of a code, trusted by the code's fingerprint."""
    code = decode_join_code(code_text)
    host, _, port = code.addresses[0].rpartition(":")
    shown = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
    name = ("grpc.ssl_target_name_override", "enrollment.steelyard")
    channel = grpc.aio.secure_channel(
        code.addresses[0], grpc.ssl_channel_credentials(shown.encode()), options=[*OPTIONS, name]
    )
    stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
    authority = await stub.GetAuthority(enrollment_pb2.GetAuthorityRequest(), timeout=60)
    both = ssl.PEM_cert_to_DER_cert(shown) + ssl.PEM_cert_to_DER_cert(authority.authority_pem)
    assert hashlib.sha256(both).digest()[:16] == code.fingerprint
    return channel


async def enroll(
    code_text: str,
    *,
    device_id: str | None = None,
    name: str = "board",
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Holder:
    """Use a join code; ``device_id`` "" for a person, None for a new device."""
    key = key or make_key()
    device_id = str(uuid.uuid4()) if device_id is None else device_id
    request = enrollment_pb2.EnrollRequest(
        secret=decode_join_code(code_text).secret_text, request_pem=request_pem(key), device_id=device_id, name=name
    )
    async with await enrollment_channel(code_text) as channel:
        response = await enrollment_pb2_grpc.EnrollmentServiceStub(channel).Enroll(request, timeout=60)
    return Holder(
        device_id=device_id,
        name=response.name,
        tags=tuple(response.tags),
        key=key,
        credentials=response.credentials,
    )


# What gRPC says on this side, before the other's status arrives, of a write on a session that the other has just ended.
OWN_WRITE_FAILED = (grpc.StatusCode.INTERNAL, "Internal error from Core")


class Session:
    """An agent's session, spoken by hand."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call = session_pb2_grpc.SessionServiceStub(channel).Connect()

    async def open(self, device_id: str, name: str = "board") -> session_pb2.Welcome:
        device = common_pb2.DeviceDescription(device_id=device_id, name=name)
        hello = session_pb2.Hello(device=device, boot_id="boot", agent_version="1", protocol_version=1)
        await self.call.write(session_pb2.ConnectRequest(message_id=1, hello=hello))
        while True:
            message = await self.read()
            if message.HasField("welcome"):
                return message.welcome

    async def read(self) -> session_pb2.ConnectResponse:
        message = await asyncio.wait_for(self.call.read(), 60)
        if message is grpc.aio.EOF:
            raise_status(await self.call.code(), await self.call.details(), await self.call.trailing_metadata())
        assert isinstance(message, session_pb2.ConnectResponse)
        return message

    async def end(self) -> Refusal:
        """Read to the end and return why it came."""
        try:
            while True:
                await self.read()
        except (Refusal, grpc.aio.AioRpcError) as error:
            return refusal_of(error)


class Refusal(Exception):
    """How a call ended: status, reason, sentence."""

    def __init__(self, code: grpc.StatusCode, reason: str, sentence: str) -> None:
        super().__init__(f"{code.name} {reason}: {sentence}")
        self.code, self.reason, self.sentence = code, reason, sentence


def raise_status(code: grpc.StatusCode, details: str, metadata: object) -> None:
    found = dict(metadata or ()).get("steelyard-reason", "")  # type: ignore[call-overload]
    raise Refusal(code, found, details)


def refusal_of(error: Refusal | grpc.aio.AioRpcError) -> Refusal:
    if isinstance(error, Refusal):
        return error
    reason = dict(error.trailing_metadata() or ()).get("steelyard-reason", "")
    return Refusal(error.code(), str(reason), error.details() or "")


async def refused(awaitable: object) -> Refusal:
    """Wait for a call that must be refused, and return how."""
    try:
        answer = await awaitable  # type: ignore[misc]
    except (Refusal, grpc.aio.AioRpcError) as error:
        return refusal_of(error)
    assert not isinstance(answer, Message), f"it was let in: {answer}"
    raise AssertionError(f"it was let in: {answer!r}")
