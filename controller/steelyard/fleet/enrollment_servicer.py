"""EnrollmentService and RenewalService: message in, domain call, refusal to status, message out."""

from __future__ import annotations

import logging
from typing import Any

import grpc.aio

from steelyard.errors import SteelyardError
from steelyard.fleet.refusals import refuse
from steelyard.identity.errors import IdentityError
from steelyard.membership.admission import Admission
from steelyard.membership.caller import CURRENT_CALLER
from steelyard_protocol.v1 import enrollment_pb2, enrollment_pb2_grpc

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]


class EnrollmentServicer(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """For those without a certificate, on the enrollment port."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def GetAuthority(  # noqa: N802
        self, _request: enrollment_pb2.GetAuthorityRequest, _context: _Context
    ) -> enrollment_pb2.GetAuthorityResponse:
        """Say who this controller is."""
        return self._admission.authority()

    async def Enroll(  # noqa: N802
        self, request: enrollment_pb2.EnrollRequest, context: _Context
    ) -> enrollment_pb2.EnrollResponse:
        """Give a certificate for a join code."""
        try:
            response = await self._admission.enroll(request)
        except SteelyardError as error:
            _log.warning("enrollment from %s refused (%s): %s", context.peer(), error.reason, error)
            await refuse(context, error)
        _log.info("%s enrolled from %s as %s", request.device_id or "a person", context.peer(), response.name)
        return response

    async def RenewExpired(  # noqa: N802
        self, request: enrollment_pb2.RenewExpiredRequest, context: _Context
    ) -> enrollment_pb2.RenewExpiredResponse:
        """Give a device that was off a new certificate for its old key."""
        try:
            return enrollment_pb2.RenewExpiredResponse(credentials=await self._admission.renew_expired(request))
        except SteelyardError as error:
            _log.warning("renewal from %s refused (%s): %s", context.peer(), error.reason, error)
            await refuse(context, error)


class RenewalServicer(enrollment_pb2_grpc.RenewalServiceServicer):
    """For those with a valid certificate, on the port that asks for one."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def Renew(  # noqa: N802
        self, request: enrollment_pb2.RenewRequest, context: _Context
    ) -> enrollment_pb2.RenewResponse:
        """Give the caller another certificate."""
        try:
            caller = CURRENT_CALLER.get()
            if caller is None:
                raise IdentityError("no_certificate", "renewing needs the certificate that is to be renewed")
            return enrollment_pb2.RenewResponse(credentials=await self._admission.renew(caller, request.request_pem))
        except SteelyardError as error:
            await refuse(context, error)
