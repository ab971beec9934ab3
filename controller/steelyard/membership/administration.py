"""What those who administer do: invite, suspend, remove."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from steelyard.errors import UsageError
from steelyard.identity.code_secret import secret_hash
from steelyard.identity.errors import IdentityError
from steelyard.identity.fingerprint import fingerprint
from steelyard.identity.join_code import SECRET_BYTES, CodeKind, JoinCode, encode_join_code
from steelyard.identity.roles import Role
from steelyard.identity.subjects import require_user_name
from steelyard.membership.access_list import AccessList
from steelyard.membership.live_calls import LiveCalls
from steelyard.membership.terms import Terms, code_uses
from steelyard.store.access_rows import JoinCodeRow, Standing, UserRow, refused_standing
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import identity_pb2

if TYPE_CHECKING:
    from steelyard.membership.authorities import Authorities

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_TAGS = 32


class Administration:
    """Changes who belongs to the controller: the store first, then the list that decides, then the live calls.

    Used from one event loop.
    """

    def __init__(
        self,
        *,
        store: AsyncStore,
        access: AccessList,
        live_calls: LiveCalls,
        terms: Terms,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._access = access
        self._live_calls = live_calls
        self._terms = terms
        self._clock_ns = clock_ns
        self._doors: tuple[Authorities, Callable[[], list[str]]] | None = None

    def open_doors(self, authorities: Authorities, enrollment_addresses: Callable[[], list[str]]) -> None:
        """Let invitations be made: there is an enrollment port now."""
        self._doors = (authorities, enrollment_addresses)

    async def invite_device(self, *, use_count: int, valid_ms: int, tags: Sequence[str]) -> identity_pb2.JoinInvitation:
        """Make a join code for devices.

        Raises:
            IdentityError: ``not_listening``, ``invalid_code_uses``, ``invalid_code_life`` or ``invalid_tag``.
        """
        return await self._invite(
            CodeKind.DEVICE, use_count=code_uses(use_count), valid_ms=valid_ms, tags=require_tags(tags)
        )

    async def invite_user(self, name: str, role: Role, *, valid_ms: int) -> tuple[identity_pb2.JoinInvitation, UserRow]:
        """Make a join code for a person, with a role; the role of one that is known changes at once.

        Raises:
            IdentityError: ``invalid_subject``, ``not_listening`` or ``invalid_code_life``.
        """
        require_user_name(name)
        invitation = await self._invite(CodeKind.PERSON, use_count=1, valid_ms=valid_ms, user_name=name)
        user = await self._store.call(lambda store: store.access.put_user(name, role))
        self._access.set_role(name, role)
        return invitation, user

    async def set_standing(self, device_id: str, standing: Standing) -> None:
        """Suspend, resume or remove a device; its calls end before this returns.

        Raises:
            IdentityError: ``device_removed`` for a removed one that is to be suspended or resumed.
        """
        known = await self._store.call(lambda store: store.access.standings([device_id]))
        before = known.get(device_id)
        if before is not None and before.standing == "removed" and standing != "removed":
            raise refused_standing("removed")
        if standing == "enrolled" and (before is None or before.certificate_not_after_ns is None):
            # It came by the port of loopback, and may do so again.
            standing = ""
        revoked = await self._store.call(lambda store: store.access.set_standing(device_id, standing))
        self._access.revoke(revoked)
        self._access.set_standing(device_id, standing)
        if standing in {"suspended", "removed"}:
            self._live_calls.end(
                lambda caller: caller.subject.kind == "device" and caller.subject.name == device_id,
                refused_standing(standing),
            )

    async def remove_user(self, name: str) -> UserRow:
        """Forget a person; the calls of that person's programs end before this returns.

        Raises:
            NotFoundError: ``user_not_found``.
        """
        user, revoked = await self._store.call(lambda store: store.access.remove_user(name))
        self._access.revoke(revoked)
        self._access.set_role(name, None)
        refusal = IdentityError("user_removed", f"{name} may not use this controller any more")
        self._live_calls.end(lambda caller: caller.subject.kind == "user" and caller.subject.name == name, refusal)
        return user

    async def _invite(
        self, kind: CodeKind, *, use_count: int, valid_ms: int, tags: tuple[str, ...] = (), user_name: str = ""
    ) -> identity_pb2.JoinInvitation:
        if self._doors is None:
            raise IdentityError(
                "not_listening",
                "this controller listens on this machine only, so nobody could use a join code: start it with "
                "`steelyard serve --secure-listen 0.0.0.0:7443`, or set secure_listen in its configuration",
            )
        from steelyard.identity.authority import certificate_der

        authorities, enrollment_addresses = self._doors
        identity = authorities.identity
        addresses = enrollment_addresses()
        code = JoinCode(
            kind=kind,
            secret=secrets.token_bytes(SECRET_BYTES),
            fingerprint=fingerprint(
                certificate_der(identity.enrollment.certificate), certificate_der(identity.authority.certificate)
            ),
            addresses=tuple(addresses),
        )
        text = encode_join_code(code)
        not_after_ns = self._clock_ns() + self._terms.code_life(valid_ms)
        row = JoinCodeRow(
            secret_hash=secret_hash(code.secret_text),
            user_name=user_name,
            tags=tags,
            use_count=use_count,
            not_after_ns=not_after_ns,
        )
        await self._store.call(lambda store: store.access.add_code(row))
        invitation = identity_pb2.JoinInvitation(code=text, use_count=use_count, addresses=addresses)
        invitation.not_after.FromNanoseconds(not_after_ns)
        return invitation


def require_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return tags in rising order, each once.

    Raises:
        UsageError: ``invalid_tag``.
    """
    for tag in tags:
        if _TAG.fullmatch(tag) is None:
            raise UsageError(
                "invalid_tag",
                f"tag {tag[:80]!r} must be 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit",
            )
    if len(tags) > _MAX_TAGS:
        raise UsageError("invalid_tag", f"{len(tags)} tags are too many; take at most {_MAX_TAGS}")
    return tuple(sorted(set(tags)))
