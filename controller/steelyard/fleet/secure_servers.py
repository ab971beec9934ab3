"""The two ports off loopback: one asks every client for a certificate, the other enrolls those who have none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import grpc
import grpc.aio

from steelyard.errors import SteelyardError
from steelyard.fleet.enrollment_servicer import EnrollmentServicer, RenewalServicer
from steelyard.fleet.guard import CertificateGuard
from steelyard.fleet.ports import add_port, refuse_taken_port
from steelyard.fleet.transport import CONTROL_SERVER_OPTIONS, SERVER_OPTIONS
from steelyard.identity.authority import SignedKey
from steelyard.membership.access_list import AccessList
from steelyard.membership.admission import Admission
from steelyard.membership.authorities import Authorities
from steelyard.membership.live_calls import LiveCalls
from steelyard_protocol.v1 import enrollment_pb2_grpc

_log = logging.getLogger(__name__)

# A stream outlives its certificate by this much at most.
_EXPIRY_LOOK_S = 5.0
# How often it is asked whether a change of the authority is complete.
_CHANGE_LOOK_S = 300.0
# Whoever enrolls needs no connection of its own for long.
_MAX_ENROLLMENTS_AT_ONCE = 64
_STOP_GRACE_S = 2.0


class SecureServers:
    """Builds, starts and stops both servers. Used from one event loop."""

    def __init__(
        self, *, access: AccessList, live_calls: LiveCalls, authorities: Authorities, admission: Admission
    ) -> None:
        self._live_calls = live_calls
        self._authorities = authorities
        self._admission = admission
        self._watches: list[asyncio.Task[None]] = []
        self.server = grpc.aio.server(
            interceptors=[CertificateGuard(access, live_calls)], options=CONTROL_SERVER_OPTIONS
        )
        enrollment_pb2_grpc.add_RenewalServiceServicer_to_server(RenewalServicer(admission), self.server)
        self.enrollment_server = grpc.aio.server(
            options=SERVER_OPTIONS, maximum_concurrent_rpcs=_MAX_ENROLLMENTS_AT_ONCE
        )
        servicer = EnrollmentServicer(admission)
        enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(servicer, self.enrollment_server)

    def bind(self, secure_listen: str, enroll_listen: str) -> tuple[str, str]:
        """Take both ports and return them as they became (port 0: any).

        Raises:
            PortTakenError: Another program listens there.
        """
        for address, setting in ((secure_listen, "secure_listen"), (enroll_listen, "enroll_listen")):
            refuse_taken_port(address, setting)
        enrollment = self._authorities.identity.enrollment
        enrollment_credentials = grpc.ssl_server_credentials([(enrollment.key_pem, enrollment.certificate_pem)])
        return (
            add_port(self.server, secure_listen, "secure_listen", self._credentials()),
            add_port(self.enrollment_server, enroll_listen, "enroll_listen", enrollment_credentials),
        )

    async def start(self) -> None:
        """Let callers in, and keep watch over those that stay."""
        await self.server.start()
        await self.enrollment_server.start()
        self._watches = [asyncio.create_task(self._watch_expiry()), asyncio.create_task(self._watch_change())]

    async def stop(self) -> None:
        """End both servers."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(self.server.stop(_STOP_GRACE_S), self.enrollment_server.stop(_STOP_GRACE_S))

    def _credentials(self) -> grpc.ServerCredentials:
        # Asked again with each handshake, so that a change of the authority needs no new server. None says that
        # nothing changed: gRPC puts what it is given in the place of what other handshakes use at that moment, and
        # with a thousand dials at once aborted the process ("sync.cc: Check failed: prior > 0", grpcio 1.85).
        given = self._authorities.server_keys

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            keys = self._authorities.server_keys
            if keys is given:
                return None
            given = keys
            return _configuration(*keys)

        # The stubs leave the None out.
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", changed)
        return grpc.dynamic_ssl_server_credentials(_configuration(*given), fetch, require_client_authentication=True)

    async def _watch_expiry(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_LOOK_S)
            ended = self._live_calls.end_expired()
            if ended:
                _log.info("%d calls ended with their certificates", ended)

    async def _watch_change(self) -> None:
        while True:
            try:
                await self._authorities.finish_change_if_complete()
            except SteelyardError as error:
                # A full disk, say: both authorities stay trusted, and it is asked again.
                _log.warning("the change of the authority could not be looked at: %s", error)
            await asyncio.sleep(_CHANGE_LOOK_S)


def _configuration(shown: SignedKey, trusted_pem: bytes) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(shown.key_pem, shown.certificate_pem)], root_certificates=trusted_pem
    )
