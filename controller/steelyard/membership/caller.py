"""Who makes the call that is being served: known from the certificate, never from what a message says."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from steelyard.identity.errors import IdentityError
from steelyard.identity.roles import Role
from steelyard.identity.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A device, or a person with a role."""

    subject: Subject
    serial: str
    not_after_ns: int
    key_digest: str
    authority_digest: str
    # None for a device.
    role: Role | None = None
    # What a token may measure on; () for a person and a device.
    scope: tuple[str, ...] = ()


# None on the port of loopback and on the control socket, which ask for no certificate.
CURRENT_CALLER: ContextVar[Caller | None] = ContextVar("steelyard_caller", default=None)


def require_device(device_id: str) -> Caller | None:
    """Return the caller when it may speak for a device: that device itself, or somebody without a certificate.

    Raises:
        IdentityError: ``another_device``.
    """
    caller = CURRENT_CALLER.get()
    if caller is not None and (caller.subject.kind != "device" or caller.subject.name != device_id):
        raise IdentityError(
            "another_device",
            f"the certificate is of {caller.subject.kind} {caller.subject.name}, which cannot speak for device "
            f"{device_id[:80]!r}",
        )
    return caller


def require_role(role: Role, what: str) -> None:
    """Let pass whoever has a role, or came by the control socket.

    Raises:
        IdentityError: ``role_too_low``.
    """
    caller = CURRENT_CALLER.get()
    if caller is not None and (caller.role is None or caller.role < role):
        has = f"has the role {caller.role.name.lower()!r}" if caller.role is not None else "is no person"
        raise IdentityError(
            "role_too_low",
            f"{what} needs the role {role.name.lower()!r}, and {caller.subject.name} {has}; whoever administers the "
            f"controller can run `steelyard user invite {caller.subject.name} --role {role.name.lower()}`",
        )
