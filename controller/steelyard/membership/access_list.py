"""What decides about every call, in memory: revoked serial numbers, where devices stand, what people may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from steelyard.identity.errors import IdentityError
from steelyard.identity.roles import Role
from steelyard.membership.caller import Caller
from steelyard.store.access_rows import AccessSnapshot, refused_standing

if TYPE_CHECKING:
    from cryptography import x509

    from steelyard.identity.shown import ShownCertificate

# A fleet of this size is judged without reading a certificate twice.
_MAX_READ = 20_000


class AccessList:
    """Follows the store: whoever changes a row tells it here. Used from one event loop."""

    def __init__(self, controller_id: str, clock_ns: Callable[[], int]) -> None:
        self._controller_id = controller_id
        self._clock_ns = clock_ns
        self._authorities: tuple[x509.Certificate, ...] = ()
        self._read: dict[bytes, ShownCertificate] = {}
        self._revoked: set[str] = set()
        self._standing: dict[str, str] = {}
        self._roles: dict[str, Role] = {}
        self._scopes: dict[str, tuple[str, ...]] = {}

    def load(self, snapshot: AccessSnapshot) -> None:
        """Take over what the store holds."""
        self._revoked = set(snapshot.revoked)
        self._standing = dict(snapshot.standing)
        self._roles = {name: Role(role) for name, role in snapshot.roles.items()}
        self._scopes = dict(snapshot.scopes)

    def trust(self, authorities: Iterable[x509.Certificate]) -> None:
        """Take certificates of these authorities from now on, and of no other."""
        self._authorities = tuple(authorities)
        self._read.clear()

    def revoke(self, serials: Iterable[str]) -> None:
        """Take these certificates no more."""
        self._revoked.update(serials)

    def set_standing(self, device_id: str, standing: str) -> None:
        """Note where a device stands."""
        self._standing[device_id] = standing

    def note_enrolled(self, device_id: str) -> None:
        """Note that a device showed a certificate; whoever changed where it stands meanwhile is right."""
        if not self._standing.get(device_id):
            self._standing[device_id] = "enrolled"

    def set_role(self, name: str, role: Role | None, scope: tuple[str, ...] = ()) -> None:
        """Note what a person may do, and on what a token may measure; None: nothing any more."""
        self._scopes.pop(name, None)
        if role is not None and scope:
            self._scopes[name] = scope
        if role is None:
            self._roles.pop(name, None)
        else:
            self._roles[name] = role

    def is_enrolled(self, device_id: str) -> bool:
        """Say whether a device has to show a certificate."""
        return self._standing.get(device_id) == "enrolled"

    def require_standing(self, device_id: str) -> None:
        """Let pass a device that is neither suspended nor removed.

        Raises:
            IdentityError: ``device_suspended`` or ``device_removed``.
        """
        standing = self._standing.get(device_id, "")
        if standing in {"suspended", "removed"}:
            raise refused_standing(standing)

    def read(self, pem: bytes) -> ShownCertificate:
        """Read a certificate of a trusted authority, expired or not.

        Raises:
            IdentityError: As ``read_shown``; ``another_controller``, ``certificate_revoked``.
        """
        from steelyard.identity.shown import read_shown

        shown = self._read.get(pem)
        if shown is None:
            shown = read_shown(pem, self._authorities)
            if len(self._read) >= _MAX_READ:
                self._read.clear()
            self._read[pem] = shown
        if shown.subject.controller_id != self._controller_id:
            raise IdentityError("another_controller", "the certificate is of another controller; enroll with this one")
        if shown.serial in self._revoked:
            raise IdentityError("certificate_revoked", "this certificate was revoked; enroll with a new join code")
        return shown

    def judge(self, pem: bytes) -> Caller:
        """Return who shows a certificate, and refuse whoever may not come in now.

        Raises:
            IdentityError: As ``read``; ``no_certificate``, ``certificate_expired``, ``device_suspended``,
                ``device_removed`` or ``user_removed``.
        """
        if not pem:
            raise IdentityError("no_certificate", "this port asks for a certificate; enroll with a join code first")
        shown = self.read(pem)
        if shown.not_after_ns <= self._clock_ns():
            raise expired()
        role = None
        if shown.subject.kind == "device":
            self.require_standing(shown.subject.name)
        else:
            role = self._roles.get(shown.subject.name)
            if role is None:
                raise IdentityError("user_removed", f"{shown.subject.name} may not use this controller any more")
        return Caller(
            subject=shown.subject,
            serial=shown.serial,
            not_after_ns=shown.not_after_ns,
            key_digest=shown.key_digest,
            authority_digest=shown.authority_digest,
            role=role,
            scope=self._scopes.get(shown.subject.name, ()) if role is not None else (),
        )


def expired() -> IdentityError:
    """Return the refusal of a certificate past its end."""
    return IdentityError("certificate_expired", "the certificate has expired; renew it, or enroll with a new join code")
