"""Rows of join codes, certificates, people and where devices stand; each method is one transaction.

Reached as ``Store.access``. The rules that need a transaction are here (a code is counted down once, a name is given
once); what a certificate says and who signs it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import delete, insert, select, update

from steelyard.identity.errors import IdentityError
from steelyard.store import access_names, schema
from steelyard.store import access_rows as rows
from steelyard.store.access_rows import (
    AccessSnapshot,
    Admitted,
    CertificateRow,
    DeviceStanding,
    JoinCodeRow,
    Standing,
    UserRow,
)
from steelyard.store.database import Database
from steelyard.store.paging import fetch_page

_CODES, _CERTIFICATES, _USERS, _STANDING = (
    schema.join_codes,
    schema.certificates,
    schema.users,
    schema.device_standing,
)
# A day: whoever pastes an old code hears that it has expired.
_FORGET_CODES_NS = 24 * 3600 * 1_000_000_000


class AccessRecords:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    # -- join codes and certificates ------------------------------------------------------------------------------

    def add_code(self, row: JoinCodeRow) -> None:
        """Keep a join code; those that ended a day ago are forgotten."""
        with self._database.write() as connection:
            connection.execute(delete(_CODES).where(_CODES.c.not_after_ns < self._clock_ns() - _FORGET_CODES_NS))
            connection.execute(
                insert(_CODES).values(
                    secret_hash=row.secret_hash,
                    user_name=row.user_name,
                    tags=" ".join(row.tags),
                    use_count=row.use_count,
                    uses_left=row.use_count,
                    not_after_ns=row.not_after_ns,
                )
            )

    def find_code(self, secret_hash: str) -> JoinCodeRow | None:
        """Return a join code, None for one that is not known."""
        with self._database.read() as connection:
            row = connection.execute(select(_CODES).where(_CODES.c.secret_hash == secret_hash)).one_or_none()
        if row is None:
            return None
        return JoinCodeRow(
            secret_hash=row.secret_hash,
            user_name=row.user_name,
            tags=tuple(row.tags.split()),
            use_count=row.use_count,
            not_after_ns=row.not_after_ns,
        )

    def admit(self, certificate: CertificateRow, *, wished_name: str, grace_ns: int) -> Admitted:
        """Count a join code as used and keep the certificate that it is used for; the same key again costs nothing.

        Raises:
            IdentityError: ``unknown_code``, ``code_expired``, ``code_used``, ``device_suspended`` or ``device_taken``.
            UsageError: ``invalid_name``.
        """
        now_ns = self._clock_ns()
        with self._database.write() as connection:
            tags = rows.take_code(connection, certificate, now_ns)
            if certificate.kind == "device":
                rows.require_free(connection, certificate, now_ns=now_ns, grace_ns=grace_ns)
                name = access_names.give(connection, certificate.subject, wished_name, now_ns)
                tags = rows.enroll(connection, certificate.subject, tags)
            else:
                name = certificate.subject
            rows.insert_certificate(connection, certificate, now_ns=now_ns, grace_ns=grace_ns)
            return Admitted(name=name, tags=tags)

    def renew(self, certificate: CertificateRow, *, old_serial: str, grace_ns: int) -> None:
        """Keep a certificate that follows another one; the old one stays good until its end.

        Raises:
            IdentityError: ``certificate_revoked``, ``device_suspended``, ``device_removed`` or ``user_removed``.
        """
        now_ns = self._clock_ns()
        with self._database.write() as connection:
            revoked = select(_CERTIFICATES.c.revoked_at_ns).where(_CERTIFICATES.c.serial == old_serial)
            if connection.scalar(revoked) is not None:
                raise IdentityError("certificate_revoked", "this certificate was revoked; enroll with a new join code")
            if certificate.kind == "device":
                standing = connection.scalar(rows.standing_of(certificate.subject))
                if standing in {"suspended", "removed"}:
                    raise rows.refused_standing(standing)
            elif connection.scalar(select(_USERS.c.number).where(_USERS.c.name == certificate.subject)) is None:
                raise IdentityError("user_removed", f"{certificate.subject} may not use this controller any more")
            rows.insert_certificate(connection, certificate, now_ns=now_ns, grace_ns=grace_ns)

    def note_shown(self, serial: str, device_id: str) -> str:
        """Note that a device showed a certificate: whatever came with it is stored there. Return the device's name.

        "" where the device was never heard of, as in a store that was lost.
        """
        with self._database.write() as connection:
            mine = _CERTIFICATES.c.serial == serial
            connection.execute(update(_CERTIFICATES).where(mine).values(shown_at_ns=self._clock_ns()))
            if not connection.scalar(rows.standing_of(device_id)):
                # A controller whose store was lost and whose authority was imported.
                rows.put_standing(connection, device_id, standing="enrolled")
            name = select(schema.devices.c.name).where(schema.devices.c.device_id == device_id)
            return str(connection.scalar(name) or "")

    def enrolled_as(self, name: str) -> str | None:
        """Return the id of the enrolled device with a name, None where there is none."""
        named = (
            select(schema.devices.c.device_id)
            .join(_STANDING, _STANDING.c.device_id == schema.devices.c.device_id)
            .where(schema.devices.c.name == name, _STANDING.c.standing.in_(("enrolled", "suspended")))
        )
        with self._database.read() as connection:
            return connection.scalar(named.limit(1))

    def snapshot(self) -> AccessSnapshot:
        """Return what decides about calls."""
        with self._database.read() as connection:
            revoked = connection.scalars(
                select(_CERTIFICATES.c.serial).where(_CERTIFICATES.c.revoked_at_ns.is_not(None))
            )
            standing = connection.execute(select(_STANDING.c.device_id, _STANDING.c.standing))
            users = connection.execute(select(_USERS.c.name, _USERS.c.role, _USERS.c.scope)).all()
            return AccessSnapshot(
                revoked=frozenset(revoked),
                standing={row.device_id: row.standing for row in standing},
                roles={row.name: row.role for row in users},
                scopes={row.name: rows.read_scope(row.scope) for row in users if row.scope},
            )

    def holder_counts(self) -> dict[str, int]:
        """Count devices and people by the authority of their newest certificate, as far as that is valid."""
        with self._database.read() as connection:
            newest = connection.execute(rows.newest_valid(self._clock_ns())).all()
        counts: dict[str, int] = {}
        for row in newest:
            counts[row.authority_digest] = counts.get(row.authority_digest, 0) + 1
        return counts

    def left_behind(self, authority_digest: str, shown_since_ns: int) -> list[str]:
        """Name the devices and people that would be locked out if only one authority were trusted.

        A device counts when it was seen since a time and last showed a certificate of another authority; a person
        when the newest valid certificate is of another one.
        """
        with self._database.read() as connection:
            people = connection.execute(rows.newest_valid(self._clock_ns()).where(_CERTIFICATES.c.kind == "user")).all()
            behind = [row.subject for row in people if row.authority_digest != authority_digest]
            devices = connection.execute(
                select(_CERTIFICATES.c.subject, _CERTIFICATES.c.authority_digest)
                .join(_STANDING, _STANDING.c.device_id == _CERTIFICATES.c.subject)
                .where(
                    _CERTIFICATES.c.kind == "device",
                    _CERTIFICATES.c.shown_at_ns >= shown_since_ns,
                    _STANDING.c.standing != "removed",
                )
                # A device may show its older certificate again only if it lost the newer one.
                .order_by(_CERTIFICATES.c.shown_at_ns)
            ).all()
        last = {row.subject: row.authority_digest for row in devices}
        return behind + [device_id for device_id, digest in last.items() if digest != authority_digest]

    # -- devices --------------------------------------------------------------------------------------------------

    def set_standing(self, device_id: str, standing: Standing) -> list[str]:
        """Set where a device stands; removing it revokes its certificates, whose serial numbers are returned."""
        with self._database.write() as connection:
            rows.put_standing(connection, device_id, standing=standing)
            return rows.revoke(connection, "device", device_id, self._clock_ns()) if standing == "removed" else []

    def change_tags(self, device_id: str, *, added: Collection[str] = (), removed: Collection[str] = ()) -> list[str]:
        """Add and remove tags of a device and return those that it has then, in rising order."""
        with self._database.write() as connection:
            tags = sorted((set(rows.tags_of(connection, device_id)) | set(added)) - set(removed))
            rows.put_standing(connection, device_id, tags=" ".join(tags))
            return tags

    def standings(self, device_ids: Sequence[str]) -> dict[str, DeviceStanding]:
        """Return where devices stand; those that were never enrolled, suspended or tagged are left out."""
        with self._database.read() as connection:
            return rows.standings(connection, device_ids)

    # -- people ---------------------------------------------------------------------------------------------------

    def put_user(self, name: str, role: int) -> UserRow:
        """Keep a person with a role; the role of one that is known changes.

        Raises:
            IdentityError: ``user_is_token``: a token must not lose its limits.
        """
        with self._database.write() as connection:
            if connection.scalar(select(_USERS.c.scope).where(_USERS.c.name == name)):
                raise IdentityError(
                    "user_is_token",
                    f"{name} is a token, which has no other role: take another name, or run `steelyard user remove "
                    f"{name}` first",
                )
            changed = connection.execute(update(_USERS).where(_USERS.c.name == name).values(role=role))
            if changed.rowcount == 0:
                connection.execute(insert(_USERS).values(name=name, role=role, created_at_ns=self._clock_ns()))
            return rows.find_user(connection, name)

    def put_token(
        self, certificate: CertificateRow, *, role: int, scope: Sequence[str], grace_ns: int
    ) -> tuple[UserRow, list[str]]:
        """Keep a token's certificate and what it may reach; return whom it is for, and the serial numbers void now.

        Raises:
            IdentityError: ``user_taken``.
        """
        now_ns = self._clock_ns()
        with self._database.write() as connection:
            rows.put_token_holder(connection, certificate.subject, role=role, scope=scope, now_ns=now_ns)
            revoked = rows.revoke(connection, "user", certificate.subject, now_ns)
            rows.insert_certificate(connection, certificate, now_ns=now_ns, grace_ns=grace_ns)
            return rows.find_user(connection, certificate.subject), revoked

    def remove_user(self, name: str) -> tuple[UserRow, list[str]]:
        """Forget a person and the codes for them; return who it was and the serial numbers that are revoked now.

        Raises:
            NotFoundError: ``user_not_found``.
        """
        with self._database.write() as connection:
            user = rows.find_user(connection, name)
            connection.execute(delete(_USERS).where(_USERS.c.name == name))
            connection.execute(delete(_CODES).where(_CODES.c.user_name == name))
            return user, rows.revoke(connection, "user", name, self._clock_ns())

    def list_users(self, page_size: int, page_token: str) -> tuple[list[UserRow], str]:
        """List people in the order in which they were first invited, with the token of the next page."""
        with self._database.read() as connection:
            page, token = fetch_page(
                connection,
                select(_USERS.c.number, _USERS.c.name),
                _USERS.c.number,
                page_size=page_size,
                page_token=page_token,
                newest_first=False,
            )
            return [rows.find_user(connection, row["name"]) for row in page], token
