"""Has the certificate renewed: on the live connection in good time, on the enrollment port after a long sleep."""

from __future__ import annotations

import grpc.aio

from steelyard_agent.enrollment.credentials import keep_credentials
from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.membership import Membership, MembershipFolder
from steelyard_agent.enrollment.moments import unix_s
from steelyard_agent.enrollment.port import CALL_TIMEOUT_S, asked, enrollment_port
from steelyard_agent.enrollment.requesting import make_request
from steelyard_protocol.v1.enrollment_pb2 import GetAuthorityRequest, RenewExpiredRequest, RenewRequest
from steelyard_protocol.v1.enrollment_pb2_grpc import RenewalServiceStub


async def renew(
    channel: grpc.aio.Channel, folder: MembershipFolder, membership: Membership, *, device_now_s: float
) -> Membership:
    """Renew on the connection that the certificate opened; the key stays. The next dial shows the new one.

    Raises:
        EnrollmentError: It is refused, or the link is down.
        StateError: What came cannot be kept; the old certificate stays.
    """
    question = RenewRequest(request_pem=await make_request(folder.key))
    answer = await asked(
        RenewalServiceStub(channel).Renew(question, timeout=CALL_TIMEOUT_S), membership.controller_name
    )
    return keep_credentials(
        folder,
        answer.credentials,
        device_name=membership.device_name,
        device_now_s=device_now_s,
        last_good_address=membership.last_good_address,
    )


async def renew_expired(folder: MembershipFolder, membership: Membership, *, device_now_s: float) -> Membership:
    """Renew on the enrollment port by the old key, within the controller's grace period.

    Raises:
        EnrollmentError: No address answers, or the controller refuses.
        StateError: What came cannot be kept; the old certificate stays.
    """
    question = RenewExpiredRequest(
        certificate_pem=folder.pem("certificate").decode("ascii"), request_pem=await make_request(folder.key)
    )
    failure = _nowhere(membership)
    for address in membership.enrollment_addresses:
        try:
            async with enrollment_port(address, folder.pem("enrollment")) as port:
                answer = await asked(port.RenewExpired(question, timeout=CALL_TIMEOUT_S), address)
        except EnrollmentError as error:
            if error.reason != "controller_unreachable":
                raise
            failure = error
            continue
        return keep_credentials(
            folder,
            answer.credentials,
            device_name=membership.device_name,
            device_now_s=device_now_s,
            last_good_address=membership.last_good_address,
        )
    raise failure


async def controller_now_s(folder: MembershipFolder, membership: Membership) -> float:
    """Return what the controller's clock says, asked on the enrollment port: a device whose clock was set anew is lost.

    Raises:
        EnrollmentError: No address answers.
    """
    failure = _nowhere(membership)
    for address in membership.enrollment_addresses:
        try:
            async with enrollment_port(address, folder.pem("enrollment")) as port:
                answer = await asked(port.GetAuthority(GetAuthorityRequest(), timeout=CALL_TIMEOUT_S), address)
            return unix_s(answer.now)
        except EnrollmentError as error:  # noqa: PERF203 (a network each time)
            failure = error
    raise failure


def _nowhere(membership: Membership) -> EnrollmentError:
    return EnrollmentError(
        "controller_unreachable",
        f"controller {membership.controller_id} named no enrollment port; enroll with a new join code",
    )
