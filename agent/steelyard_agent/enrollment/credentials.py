"""Keeps what enrolling and renewing give."""

from __future__ import annotations

from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.membership import Membership, MembershipFolder
from steelyard_agent.enrollment.moments import unix_s
from steelyard_protocol.v1.enrollment_pb2 import Credentials


def keep_credentials(
    folder: MembershipFolder,
    credentials: Credentials,
    *,
    device_name: str,
    device_now_s: float,
    last_good_address: str = "",
    enrollment_pem: str = "",
) -> Membership:
    """Write new credentials durably and return what is known of the controller now.

    Raises:
        EnrollmentError: ``bad_answer``: what came cannot be used; what was there stays.
        StateError: It cannot be written.
    """
    if credentials.controller_id != folder.path.name:
        raise EnrollmentError(
            "bad_answer",
            f"the credentials are of {credentials.controller_id[:120]!r}, not of {folder.path.name}; enroll anew",
        )
    if "BEGIN CERTIFICATE" not in credentials.certificate_pem or "BEGIN CERTIFICATE" not in credentials.authorities_pem:
        raise EnrollmentError("bad_answer", "the credentials hold no certificates in PEM; enroll anew")
    now_s = unix_s(credentials.now)
    try:
        membership = Membership(
            controller_id=credentials.controller_id,
            controller_name=credentials.controller_name,
            device_name=device_name,
            addresses=tuple(credentials.addresses),
            enrollment_addresses=tuple(credentials.enrollment_addresses),
            issued_at_s=now_s,
            not_after_s=unix_s(credentials.not_after),
            clock_offset_s=now_s - device_now_s,
            last_good_address=last_good_address if last_good_address in credentials.addresses else "",
        )
        folder.keep(
            membership,
            certificate=credentials.certificate_pem,
            authorities=credentials.authorities_pem,
            enrollment=enrollment_pem,
        )
    except ValueError as error:
        raise EnrollmentError("bad_answer", f"the credentials cannot be used ({error}); enroll anew") from error
    return membership
