"""The part of the Python API that decides who belongs to a controller; reached as ``client.identity``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc

from steelyard.control.errors_on_wire import called
from steelyard.identity.roles import Role
from steelyard_protocol.v1 import control_pb2, identity_pb2, identity_pb2_grpc

if TYPE_CHECKING:
    from steelyard.control.logins import Login

_TIMEOUT_S = 60.0


class IdentityClient:
    """Every method raises ``steelyard.SteelyardError``.

    Over a network they need the role "administer"; ``authorities`` needs "read".
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = identity_pb2_grpc.IdentityServiceStub(channel)

    def invite_device(
        self, *, use_count: int = 1, valid_s: float = 0.0, tags: Sequence[str] = ()
    ) -> identity_pb2.JoinInvitation:
        """Make a join code for ``use_count`` devices; ``valid_s`` 0: an hour."""
        request = identity_pb2.InviteDeviceRequest(use_count=use_count, valid_ms=int(valid_s * 1000), tags=tags)
        return called(lambda: self._stub.InviteDevice(request, timeout=_TIMEOUT_S)).invitation

    def remove_device(self, name: str) -> control_pb2.Device:
        """End at once what a device may do here; its results stay."""
        request = identity_pb2.RemoveDeviceRequest(device=name)
        return called(lambda: self._stub.RemoveDevice(request, timeout=_TIMEOUT_S)).device

    def suspend_device(self, name: str) -> control_pb2.Device:
        """Refuse a device until it is resumed."""
        request = identity_pb2.SuspendDeviceRequest(device=name)
        return called(lambda: self._stub.SuspendDevice(request, timeout=_TIMEOUT_S)).device

    def resume_device(self, name: str) -> control_pb2.Device:
        """Let a suspended device in again."""
        request = identity_pb2.ResumeDeviceRequest(device=name)
        return called(lambda: self._stub.ResumeDevice(request, timeout=_TIMEOUT_S)).device

    def invite_user(
        self, name: str, role: Role, *, valid_s: float = 0.0
    ) -> tuple[identity_pb2.JoinInvitation, identity_pb2.User]:
        """Make a join code for a person with a role; the role of one that is known changes at once."""
        request = identity_pb2.InviteUserRequest(
            name=name, role=identity_pb2.UserRole.ValueType(role), valid_ms=int(valid_s * 1000)
        )
        response = called(lambda: self._stub.InviteUser(request, timeout=_TIMEOUT_S))
        return response.invitation, response.user

    def issue_token(
        self, name: str, devices: Sequence[str], *, valid_s: float = 0.0
    ) -> tuple[Login, identity_pb2.User]:
        """Make a token that measures on some devices, and return it as a login; its key was made here.

        Args:
            name: Whom it is for; an older token of that name is void then.
            devices: Names or ids, "tag:rack1", "pool:raspberry-pi-5".
            valid_s: How long; 0: 30 days.
        """
        from steelyard.control.logins import login_from
        from steelyard.identity.own_key import make_own_key, request_for

        key_pem = make_own_key()
        request = identity_pb2.IssueTokenRequest(
            request_pem=request_for(key_pem), name=name, valid_ms=int(valid_s * 1000), devices=devices
        )
        response = called(lambda: self._stub.IssueToken(request, timeout=_TIMEOUT_S))
        return login_from(response.credentials, user=name, key_pem=key_pem), response.user

    def users(self) -> list[identity_pb2.User]:
        """Return everybody who may use the controller over a network."""
        users: list[identity_pb2.User] = []
        token = ""
        while True:
            page = self._page_of_users(token)
            users += page.users
            token = page.next_page_token
            if not token:
                return users

    def remove_user(self, name: str) -> identity_pb2.User:
        """Forget a person, whose certificates are refused from then on."""
        request = identity_pb2.RemoveUserRequest(name=name)
        return called(lambda: self._stub.RemoveUser(request, timeout=_TIMEOUT_S)).user

    def authorities(self) -> identity_pb2.ListAuthoritiesResponse:
        """Return the authorities that are trusted now, and where the ports are."""
        request = identity_pb2.ListAuthoritiesRequest()
        return called(lambda: self._stub.ListAuthorities(request, timeout=_TIMEOUT_S))

    def export_authority(self, passphrase: str) -> bytes:
        """Return the authority with its key as PKCS#12, encrypted."""
        request = identity_pb2.ExportAuthorityRequest(passphrase=passphrase)
        return called(lambda: self._stub.ExportAuthority(request, timeout=_TIMEOUT_S)).archive

    def rotate_authority(self, *, finish: bool = False) -> list[identity_pb2.Authority]:
        """Begin a change of the authority, or end one; return those that are trusted then."""
        request = identity_pb2.RotateAuthorityRequest(finish=finish)
        return list(called(lambda: self._stub.RotateAuthority(request, timeout=_TIMEOUT_S)).authorities)

    def _page_of_users(self, token: str) -> identity_pb2.ListUsersResponse:
        request = identity_pb2.ListUsersRequest(page_token=token)
        return called(lambda: self._stub.ListUsers(request, timeout=_TIMEOUT_S))
