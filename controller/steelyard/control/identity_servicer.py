"""IdentityService: message in, domain call, message out. Roles were looked at before, by the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

from steelyard.control.by_name import add_service
from steelyard.control.token_scope import checked_scope
from steelyard.fleet.local_agent import LOCAL_NAME
from steelyard.identity.errors import IdentityError
from steelyard.identity.roles import Role
from steelyard.identity.subjects import controller_name
from steelyard.store.access_rows import Standing, UserRow
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, identity_pb2, session_pb2

if TYPE_CHECKING:
    from steelyard.control.controller import Controller
    from steelyard.membership.authorities import Authorities


class IdentityServicer:
    """Serves those who administer; a method's name is its RPC's in snake case."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store
        self._administration = controller.doors.administration

    async def invite_device(self, request: identity_pb2.InviteDeviceRequest) -> identity_pb2.InviteDeviceResponse:
        """Make a join code for devices."""
        invitation = await self._administration.invite_device(
            use_count=request.use_count, valid_ms=request.valid_ms, tags=request.tags
        )
        return identity_pb2.InviteDeviceResponse(invitation=invitation)

    async def remove_device(self, request: identity_pb2.RemoveDeviceRequest) -> identity_pb2.RemoveDeviceResponse:
        """End what a device may do here."""
        device = await self._set_standing(request.device, "removed", "it was removed from this controller")
        return identity_pb2.RemoveDeviceResponse(device=device)

    async def suspend_device(self, request: identity_pb2.SuspendDeviceRequest) -> identity_pb2.SuspendDeviceResponse:
        """Refuse a device until it is resumed."""
        device = await self._set_standing(request.device, "suspended", "it is suspended")
        return identity_pb2.SuspendDeviceResponse(device=device)

    async def resume_device(self, request: identity_pb2.ResumeDeviceRequest) -> identity_pb2.ResumeDeviceResponse:
        """Let a suspended device in again, and a drained one take work again."""
        device = await self._store.call(Store.find_device, request.device)
        is_suspended = device.standing == "suspended"
        if device.draining:
            device = await self._controller.shelf.end_drain(device)
            if not is_suspended:
                return identity_pb2.ResumeDeviceResponse(device=device)
        return identity_pb2.ResumeDeviceResponse(device=await self._set_standing(request.device, "enrolled", ""))

    async def invite_user(self, request: identity_pb2.InviteUserRequest) -> identity_pb2.InviteUserResponse:
        """Make a join code for a person."""
        invitation, user = await self._administration.invite_user(
            request.name, _role(request.role), valid_ms=request.valid_ms
        )
        return identity_pb2.InviteUserResponse(invitation=invitation, user=_user(user))

    async def issue_token(self, request: identity_pb2.IssueTokenRequest) -> identity_pb2.IssueTokenResponse:
        """Sign the key of a token that reaches some devices only."""
        self._authorities()
        admission = self._controller.doors.admission
        assert admission is not None, "whoever has authorities admits"
        scope = await checked_scope(self._store, request.devices)
        credentials, user = await admission.issue_token(
            request.name, request.request_pem, valid_ms=request.valid_ms, scope=scope
        )
        return identity_pb2.IssueTokenResponse(credentials=credentials, user=_user(user))

    async def list_users(self, request: identity_pb2.ListUsersRequest) -> identity_pb2.ListUsersResponse:
        """Return a page of people."""
        users, token = await self._store.call(
            lambda store: store.access.list_users(request.page_size, request.page_token)
        )
        return identity_pb2.ListUsersResponse(users=[_user(one) for one in users], next_page_token=token)

    async def remove_user(self, request: identity_pb2.RemoveUserRequest) -> identity_pb2.RemoveUserResponse:
        """Forget a person."""
        return identity_pb2.RemoveUserResponse(user=_user(await self._administration.remove_user(request.name)))

    async def list_authorities(
        self, _request: identity_pb2.ListAuthoritiesRequest
    ) -> identity_pb2.ListAuthoritiesResponse:
        """Describe every trusted authority."""
        authorities = self._authorities()
        addresses, enrollment_addresses = self._controller.doors.addresses()
        return identity_pb2.ListAuthoritiesResponse(
            controller_id=self._controller.controller_id,
            controller_name=controller_name(self._controller.controller_id),
            authorities=await authorities.describe(),
            addresses=addresses,
            enrollment_addresses=enrollment_addresses,
            enrollment_fingerprint=authorities.identity.enrollment.digest,
        )

    async def export_authority(
        self, request: identity_pb2.ExportAuthorityRequest
    ) -> identity_pb2.ExportAuthorityResponse:
        """Return the authority with its key, encrypted."""
        return identity_pb2.ExportAuthorityResponse(archive=await self._authorities().export(request.passphrase))

    async def rotate_authority(
        self, request: identity_pb2.RotateAuthorityRequest
    ) -> identity_pb2.RotateAuthorityResponse:
        """Begin a change of the authority, or end one."""
        authorities = self._authorities()
        if request.finish:
            await authorities.finish_change()
        else:
            authorities.begin_change()
        return identity_pb2.RotateAuthorityResponse(authorities=await authorities.describe())

    def _authorities(self) -> Authorities:
        authorities = self._controller.doors.authorities
        if authorities is None:
            raise IdentityError(
                "not_listening",
                "this controller listens on this machine only and uses no authority: start it with `steelyard serve "
                "--secure-listen 0.0.0.0:7443`, or set secure_listen in its configuration",
            )
        return authorities

    async def _set_standing(self, named: str, standing: Standing, goodbye: str) -> control_pb2.Device:
        found = await self._store.call(Store.find_device, named)
        device_id = found.description.device_id
        if found.description.name == LOCAL_NAME:
            raise IdentityError(
                "local_device", f"{LOCAL_NAME!r} is this controller's own agent, which comes and goes with it"
            )
        await self._administration.set_standing(device_id, standing)
        presence = self._controller.fleet.presence(device_id)
        if presence is not None and goodbye:
            # By the port of loopback there is no certificate whose calls end.
            presence.link.send(session_pb2.ConnectResponse(goodbye=session_pb2.Goodbye(reason=goodbye)))
            presence.link.close()
        return await self._controller.devices.find(device_id)


def add_identity_service(servicer: IdentityServicer, server: grpc.aio.Server) -> None:
    """Register every RPC of IdentityService with the method of its name."""
    add_service(identity_pb2, "IdentityService", servicer, server)


def _role(number: int) -> Role:
    try:
        return Role(number)
    except ValueError:
        names = "1 (read), 2 (run) or 3 (administer)"
        raise IdentityError("unknown_role", f"there is no role {number}; take {names}") from None


def _user(row: UserRow) -> identity_pb2.User:
    user = identity_pb2.User(name=row.name, role=identity_pb2.UserRole.ValueType(row.role), scope=row.scope)
    user.created_at.FromNanoseconds(row.created_at_ns)
    if row.certificate_not_after_ns is not None:
        user.certificate_not_after.FromNanoseconds(row.certificate_not_after_ns)
    return user
