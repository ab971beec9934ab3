"""Coming in and staying: certificates for join codes, and new ones for those that end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone

from cryptography.hazmat.primitives.asymmetric import ec

from steelyard.identity.authority import certificate_pem, sign_client
from steelyard.identity.code_secret import secret_hash, unknown_code
from steelyard.identity.errors import IdentityError
from steelyard.identity.requests import key_digest, read_request
from steelyard.identity.roles import Role
from steelyard.identity.shown import serial_text
from steelyard.identity.subjects import Subject, controller_name
from steelyard.membership.access_list import AccessList
from steelyard.membership.authorities import Authorities
from steelyard.membership.caller import Caller
from steelyard.membership.live_calls import LiveCalls
from steelyard.membership.terms import Terms
from steelyard.store.access_rows import CertificateRow, UserRow
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import enrollment_pb2


class Admission:
    """Signs certificates. Used from one event loop; every method raises IdentityError for what it refuses."""

    def __init__(
        self,
        *,
        controller_id: str,
        store: AsyncStore,
        access: AccessList,
        live_calls: LiveCalls,
        authorities: Authorities,
        terms: Terms,
        addresses: Callable[[], tuple[list[str], list[str]]],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare; ``addresses`` returns those of the port with certificates and of the enrollment port."""
        self._controller_id = controller_id
        self._store = store
        self._access = access
        self._live_calls = live_calls
        self._authorities = authorities
        self._terms = terms
        self._addresses = addresses
        self._clock_ns = clock_ns

    def authority(self) -> enrollment_pb2.GetAuthorityResponse:
        """Say who this controller is, for whoever compares it with a join code."""
        response = enrollment_pb2.GetAuthorityResponse(
            controller_id=self._controller_id,
            authority_pem=self._authorities.identity.authority.certificate_pem.decode(),
        )
        response.now.FromNanoseconds(self._clock_ns())
        return response

    async def enroll(self, request: enrollment_pb2.EnrollRequest) -> enrollment_pb2.EnrollResponse:
        """Take in a device, or a person's program, that knows the secret of a join code."""
        hashed = secret_hash(request.secret)
        # The key first: a request that makes no sense does not use up a code.
        key = read_request(request.request_pem)
        code = await self._store.call(lambda store: store.access.find_code(hashed))
        if code is None:
            raise unknown_code()
        subject = self._subject(code.user_name, request.device_id)
        pem, row = self._sign(subject, key, hashed)
        admitted = await self._store.call(
            lambda store: store.access.admit(row, wished_name=request.name, grace_ns=self._terms.grace_ns)
        )
        if subject.kind == "device":
            self._access.set_standing(subject.name, "enrolled")
        return enrollment_pb2.EnrollResponse(
            credentials=self._credentials(pem, row), name=admitted.name, tags=admitted.tags
        )

    async def renew(self, caller: Caller, request_pem: str) -> enrollment_pb2.Credentials:
        """Give the caller another certificate; the key may be a new one."""
        return await self._renew(caller.subject, read_request(request_pem), caller.serial)

    async def renew_expired(self, request: enrollment_pb2.RenewExpiredRequest) -> enrollment_pb2.Credentials:
        """Give a device that was off a certificate for the key of its old one.

        Anybody may send an old certificate and a request that was seen before: only the key's owner can use what comes.
        """
        key = read_request(request.request_pem)
        old = self._access.read(request.certificate_pem.encode())
        if old.subject.kind != "device":
            raise IdentityError("not_a_device", "only devices come back after the end; log in with a new join code")
        if key_digest(key) != old.key_digest:
            raise IdentityError(
                "another_key", "the request is not signed with the old certificate's key; enroll with a new join code"
            )
        ended_ns = self._clock_ns() - old.not_after_ns
        if ended_ns > self._terms.grace_ns:
            day_ns = 24 * 3600 * 1_000_000_000
            raise IdentityError(
                "grace_over",
                f"the certificate ended {ended_ns // day_ns} days ago, more than the {self._terms.grace_ns // day_ns} "
                "within which it can be renewed; enroll with a new join code",
            )
        self._access.require_standing(old.subject.name)
        return await self._renew(old.subject, key, old.serial)

    async def _renew(
        self, subject: Subject, key: ec.EllipticCurvePublicKey, old_serial: str
    ) -> enrollment_pb2.Credentials:
        pem, row = self._sign(subject, key, "")
        grace_ns = self._terms.grace_ns
        await self._store.call(lambda store: store.access.renew(row, old_serial=old_serial, grace_ns=grace_ns))
        return self._credentials(pem, row)

    async def issue_token(
        self, name: str, request_pem: str, *, valid_ms: int, scope: tuple[str, ...]
    ) -> tuple[enrollment_pb2.Credentials, UserRow]:
        """Sign a token's key; an older token of the same name is void before this returns."""
        key = read_request(request_pem)
        subject = Subject(controller_id=self._controller_id, kind="user", name=name)
        pem, row = self._sign(subject, key, "", life_ns=self._terms.token_life(valid_ms))
        user, revoked = await self._store.call(
            lambda store: store.access.put_token(row, role=Role.RUN, scope=scope, grace_ns=self._terms.grace_ns)
        )
        self._access.revoke(revoked)
        self._access.set_role(name, Role.RUN, scope)
        refusal = IdentityError("certificate_revoked", f"another token was made for {name}; this one is void")
        self._live_calls.end(lambda caller: caller.serial in revoked, refusal)
        return self._credentials(pem, row), user

    def _subject(self, user_name: str, device_id: str) -> Subject:
        if user_name and device_id:
            raise IdentityError(
                "code_for_person", "this join code is for a person: use it with `steelyard login`, not on a device"
            )
        if not user_name and not device_id:
            raise IdentityError(
                "code_for_device", "this join code is for a device: use it there with `steelyard-agent enroll`"
            )
        if user_name:
            return Subject(controller_id=self._controller_id, kind="user", name=user_name)
        return Subject(controller_id=self._controller_id, kind="device", name=device_id)

    def _sign(
        self, subject: Subject, key: ec.EllipticCurvePublicKey, hashed: str, *, life_ns: int = 0
    ) -> tuple[str, CertificateRow]:
        usual_ns = self._terms.device_life_ns if subject.kind == "device" else self._terms.user_life_ns
        # Certificates count in seconds.
        not_after_s = (self._clock_ns() + (life_ns or usual_ns)) // 1_000_000_000
        signer = self._authorities.identity.signer
        not_after = datetime.fromtimestamp(not_after_s, tz=timezone.utc)
        certificate = sign_client(signer, subject, key, not_after=not_after)
        row = CertificateRow(
            serial=serial_text(certificate),
            kind=subject.kind,
            subject=subject.name,
            key_digest=key_digest(key),
            authority_digest=signer.digest,
            secret_hash=hashed,
            not_after_ns=not_after_s * 1_000_000_000,
        )
        return certificate_pem(certificate).decode(), row

    def _credentials(self, pem: str, row: CertificateRow) -> enrollment_pb2.Credentials:
        addresses, enrollment_addresses = self._addresses()
        credentials = enrollment_pb2.Credentials(
            certificate_pem=pem,
            authorities_pem=self._authorities.identity.authorities_pem.decode(),
            controller_name=controller_name(self._controller_id),
            controller_id=self._controller_id,
            addresses=addresses,
            enrollment_addresses=enrollment_addresses,
        )
        credentials.not_after.FromNanoseconds(row.not_after_ns)
        credentials.now.FromNanoseconds(self._clock_ns())
        return credentials
