"""What the methods of ``AccessRecords`` read and write, inside the transaction that each function is given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from steelyard.errors import NotFoundError
from steelyard.identity.errors import IdentityError
from steelyard.store import schema
from steelyard.store.names import near_names

_CODES, _CERTIFICATES, _USERS, _STANDING = (
    schema.join_codes,
    schema.certificates,
    schema.users,
    schema.device_standing,
)

Standing = Literal["", "enrolled", "suspended", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCodeRow:
    """A join code as it is kept."""

    secret_hash: str
    # "" for a code of devices.
    user_name: str = ""
    tags: tuple[str, ...] = ()
    use_count: int = 1
    not_after_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """A certificate as it is kept."""

    serial: str
    kind: Literal["device", "user"]
    subject: str
    key_digest: str
    authority_digest: str
    # "" for a renewal.
    secret_hash: str = ""
    not_after_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A person, or a token; ``certificate_not_after_ns`` is that of the newest certificate, None without one."""

    name: str
    role: int
    created_at_ns: int
    certificate_not_after_ns: int | None = None
    # What a token may measure on; () for a person.
    scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStanding:
    """Where a device stands, its tags in rising order, and the end of its newest certificate."""

    standing: str
    tags: tuple[str, ...] = ()
    certificate_not_after_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What an enrollment gave: the name under which a device or a person is known, and its tags."""

    name: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSnapshot:
    """What decides about a call, as it is read when a controller starts."""

    revoked: frozenset[str]
    standing: Mapping[str, str]
    roles: Mapping[str, int]
    # Of tokens only.
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def take_code(connection: Connection, certificate: CertificateRow, now_ns: int) -> tuple[str, ...]:
    """Check the join code of a certificate and count it down; the same key again costs nothing. Return its tags."""
    code = connection.execute(select(_CODES).where(_CODES.c.secret_hash == certificate.secret_hash)).one_or_none()
    if code is None or code.user_name != (certificate.subject if certificate.kind == "user" else ""):
        raise IdentityError("unknown_code", "this join code is not known here; ask whoever runs the controller for one")
    invite = "user invite" if code.user_name else "device invite"
    if code.not_after_ns <= now_ns:
        raise IdentityError("code_expired", f"this join code has expired; `steelyard {invite}` makes a new one")
    again = select(_CERTIFICATES.c.serial).where(
        _CERTIFICATES.c.secret_hash == certificate.secret_hash,
        _CERTIFICATES.c.kind == certificate.kind,
        _CERTIFICATES.c.subject == certificate.subject,
        _CERTIFICATES.c.key_digest == certificate.key_digest,
        _CERTIFICATES.c.revoked_at_ns.is_(None),
    )
    if connection.scalar(again.limit(1)) is None:
        if code.uses_left < 1:
            times = "once" if code.use_count == 1 else f"{code.use_count} times"
            raise IdentityError(
                "code_used",
                f"this join code was used as often as it may be ({times}); `steelyard {invite}` makes a new one",
            )
        mine = _CODES.c.secret_hash == certificate.secret_hash
        connection.execute(update(_CODES).where(mine).values(uses_left=_CODES.c.uses_left - 1))
    return tuple(code.tags.split())


def require_free(connection: Connection, certificate: CertificateRow, *, now_ns: int, grace_ns: int) -> None:
    """Refuse whoever holds a join code and says to be a device that somebody else is."""
    if connection.scalar(standing_of(certificate.subject)) == "suspended":
        raise refused_standing("suspended")
    other = select(_CERTIFICATES.c.serial).where(
        _CERTIFICATES.c.kind == "device",
        _CERTIFICATES.c.subject == certificate.subject,
        _CERTIFICATES.c.key_digest != certificate.key_digest,
        _CERTIFICATES.c.revoked_at_ns.is_(None),
        _CERTIFICATES.c.not_after_ns > now_ns - grace_ns,
    )
    if connection.scalar(other.limit(1)) is not None:
        raise IdentityError(
            "device_taken",
            f"device {certificate.subject} is enrolled with another key; if that key is lost, run `steelyard "
            f"device remove {certificate.subject}` on the controller, and enroll again",
        )


def enroll(connection: Connection, device_id: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    """Let a device in, with the tags of the code beside those that it had."""
    together = sorted({*tags_of(connection, device_id), *tags})
    put_standing(connection, device_id, standing="enrolled", tags=" ".join(together))
    return tuple(together)


def put_standing(connection: Connection, device_id: str, **values: str) -> None:
    """Set some columns of where a device stands."""
    mine = _STANDING.c.device_id == device_id
    if connection.execute(update(_STANDING).where(mine).values(**values)).rowcount == 0:
        connection.execute(insert(_STANDING).values(device_id=device_id, **{"standing": "", "tags": "", **values}))


def insert_certificate(connection: Connection, certificate: CertificateRow, *, now_ns: int, grace_ns: int) -> None:
    """Keep a certificate; those that can be renewed no more are forgotten."""
    over = now_ns - grace_ns
    connection.execute(delete(_CERTIFICATES).where(_CERTIFICATES.c.not_after_ns < over))
    columns = ("serial", "kind", "subject", "key_digest", "authority_digest", "secret_hash", "not_after_ns")
    values = {name: getattr(certificate, name) for name in columns}
    # Whoever enrolls is there; of a renewal it is known only once it is shown.
    shown_at_ns = now_ns if certificate.secret_hash else None
    connection.execute(insert(_CERTIFICATES).values(**values, shown_at_ns=shown_at_ns))


def revoke(connection: Connection, kind: str, subject: str, now_ns: int) -> list[str]:
    """Revoke what a device or a person holds and return the serial numbers of all that is known of it."""
    mine = (_CERTIFICATES.c.kind == kind) & (_CERTIFICATES.c.subject == subject)
    still = mine & _CERTIFICATES.c.revoked_at_ns.is_(None)
    connection.execute(update(_CERTIFICATES).where(still).values(revoked_at_ns=now_ns))
    return list(connection.scalars(select(_CERTIFICATES.c.serial).where(mine)))


def standing_of(device_id: str) -> Select[Any]:
    """Select where a device stands."""
    return select(_STANDING.c.standing).where(_STANDING.c.device_id == device_id)


def standings(connection: Connection, device_ids: Sequence[str]) -> dict[str, DeviceStanding]:
    """Return where devices stand; see ``AccessRecords.standings``."""
    ends = connection.execute(
        select(_CERTIFICATES.c.subject, func.max(_CERTIFICATES.c.not_after_ns).label("end"))
        .where(_CERTIFICATES.c.kind == "device", _CERTIFICATES.c.subject.in_(device_ids))
        .group_by(_CERTIFICATES.c.subject)
    ).all()
    end_of = {row.subject: int(row.end) for row in ends}
    found = connection.execute(select(_STANDING).where(_STANDING.c.device_id.in_(device_ids))).all()
    return {
        row.device_id: DeviceStanding(
            standing=row.standing,
            tags=tuple(row.tags.split()),
            certificate_not_after_ns=end_of.get(row.device_id),
        )
        for row in found
    }


def removed_devices() -> Select[Any]:
    """Select the ids of removed devices."""
    return select(_STANDING.c.device_id).where(_STANDING.c.standing == "removed")


def tags_of(connection: Connection, device_id: str) -> list[str]:
    """Return the tags of a device."""
    text = connection.scalar(select(_STANDING.c.tags).where(_STANDING.c.device_id == device_id))
    return str(text or "").split()


def newest_valid(now_ns: int) -> Select[Any]:
    """Select, of each device and person, the newest certificate as far as it is valid and not revoked."""
    newest = (
        select(func.max(_CERTIFICATES.c.number))
        .where(_CERTIFICATES.c.revoked_at_ns.is_(None), _CERTIFICATES.c.not_after_ns > now_ns)
        .group_by(_CERTIFICATES.c.kind, _CERTIFICATES.c.subject)
    )
    columns = (_CERTIFICATES.c.kind, _CERTIFICATES.c.subject, _CERTIFICATES.c.authority_digest)
    return select(*columns).where(_CERTIFICATES.c.number.in_(newest)).order_by(_CERTIFICATES.c.number)


def find_user(connection: Connection, name: str) -> UserRow:
    """Return a person.

    Raises:
        NotFoundError: ``user_not_found``.
    """
    row = connection.execute(select(_USERS).where(_USERS.c.name == name)).one_or_none()
    if row is None:
        hint = near_names(name, connection.scalars(select(_USERS.c.name)).all()) or "; see `steelyard user list`"
        raise NotFoundError("user_not_found", f"no person is called {name[:80]!r} here{hint}")
    mine = (_CERTIFICATES.c.kind == "user") & (_CERTIFICATES.c.subject == name)
    end = connection.scalar(
        select(func.max(_CERTIFICATES.c.not_after_ns)).where(mine, _CERTIFICATES.c.revoked_at_ns.is_(None))
    )
    return UserRow(
        name=row.name,
        role=row.role,
        created_at_ns=row.created_at_ns,
        certificate_not_after_ns=end,
        scope=read_scope(row.scope),
    )


def read_scope(text: str | None) -> tuple[str, ...]:
    """Return what a token may measure on; () for a person."""
    return tuple(str(one) for one in json.loads(text)) if text else ()


def put_token_holder(connection: Connection, name: str, *, role: int, scope: Sequence[str], now_ns: int) -> None:
    """Keep whom a token is for; what an older token of that name could reach is forgotten.

    Raises:
        IdentityError: ``user_taken`` when the name is a person's.
    """
    known = connection.execute(select(_USERS).where(_USERS.c.name == name)).one_or_none()
    values = {"role": role, "scope": json.dumps(list(scope))}
    if known is None:
        connection.execute(insert(_USERS).values(name=name, created_at_ns=now_ns, **values))
    elif known.scope:
        connection.execute(update(_USERS).where(_USERS.c.name == name).values(**values))
    else:
        raise IdentityError("user_taken", f"{name} is a person with a login: give the token a name of its own")


def refused_standing(standing: str) -> IdentityError:
    """Return the refusal of a device that is suspended or removed."""
    if standing == "suspended":
        return IdentityError(
            "device_suspended", "this device is suspended; `steelyard device resume` on the controller lets it in again"
        )
    return IdentityError("device_removed", "this device was removed; enroll it again with a new join code")
