"""The enrollment port as a device sees it: an address, and a certificate that a join code vouched for."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.link.channel import open_secure_channel
from steelyard_protocol.v1.enrollment_pb2_grpc import EnrollmentServiceStub

if TYPE_CHECKING:
    from steelyard_protocol.v1.enrollment_pb2_grpc import EnrollmentServiceAsyncStub

T = TypeVar("T")

# The name in the port's certificate, whatever its address.
_PORT_NAME = "enrollment.steelyard"
_FINGERPRINT_BYTES = 16
CALL_TIMEOUT_S = 20.0
_HANDSHAKE_TIMEOUT_S = 10.0


async def shown_certificate(address: str) -> str:
    """Return the certificate (PEM) that whoever listens at ``address`` shows; nothing about it is trusted yet.

    Raises:
        EnrollmentError: ``controller_unreachable``.
    """
    host, _, port = address.rpartition(":")
    where = (host.strip("[]"), int(port))
    try:
        return await asyncio.to_thread(ssl.get_server_certificate, where, timeout=_HANDSHAKE_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise EnrollmentError(
            "controller_unreachable",
            f"nobody enrolls at {address} ({error}); look at the network, and whether `steelyard serve` runs there",
        ) from error


def fingerprint(port_certificate_pem: str, authority_pem: str) -> bytes:
    """Return the first 16 bytes of the SHA-256 over the DER of the port's certificate, then of the authority's.

    Raises:
        EnrollmentError: ``bad_answer``: one of them is no certificate.
    """
    try:
        ders = [ssl.PEM_cert_to_DER_cert(pem.strip()) for pem in (port_certificate_pem, authority_pem)]
    except ValueError as error:
        raise EnrollmentError("bad_answer", f"the enrollment port sent what is no certificate ({error})") from error
    return hashlib.sha256(b"".join(ders)).digest()[:_FINGERPRINT_BYTES]


def der_certificates(pem: str | bytes) -> list[bytes]:
    """Return the certificates of a PEM text as DER, in their order.

    Raises:
        EnrollmentError: ``bad_answer``: there is none, or one that is no certificate.
    """
    text = pem if isinstance(pem, str) else pem.decode("ascii", "replace")
    blocks = [f"{block}{ssl.PEM_FOOTER}" for block in text.split(ssl.PEM_FOOTER)[:-1]]
    try:
        found = [ssl.PEM_cert_to_DER_cert(block.strip()) for block in blocks]
    except ValueError as error:
        raise EnrollmentError("bad_answer", f"what should be certificates is none ({error}); enroll anew") from error
    if not found:
        raise EnrollmentError("bad_answer", "there are no certificates where some should be; enroll anew")
    return found


@asynccontextmanager
async def enrollment_port(address: str, certificate_pem: bytes) -> AsyncIterator[EnrollmentServiceAsyncStub]:
    """Speak with the enrollment port at ``address`` that owns this certificate's key, and with nobody else."""
    async with open_secure_channel(address, controller_name=_PORT_NAME, authorities=certificate_pem) as channel:
        yield EnrollmentServiceStub(channel)


async def asked(question: Awaitable[T], address: str) -> T:
    """Return the answer to a question.

    Raises:
        EnrollmentError: ``controller_unreachable``, or ``enrollment_refused`` with the controller's own sentence.
    """
    try:
        return await question
    except grpc.aio.AioRpcError as error:
        details = error.details() or "no details"
        if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            raise EnrollmentError(
                "controller_unreachable", f"{address} does not answer ({details}); look at the network and try again"
            ) from error
        raise EnrollmentError("enrollment_refused", f"the controller at {address} refused: {details}") from error
