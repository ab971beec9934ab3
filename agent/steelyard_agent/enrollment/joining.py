"""Joins a controller by a join code: trust first, the secret only then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.enrollment.credentials import keep_credentials
from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.join_code import JoinCode
from steelyard_agent.enrollment.membership import Membership, MembershipFolder, membership_folder
from steelyard_agent.enrollment.port import (
    CALL_TIMEOUT_S,
    asked,
    der_certificates,
    enrollment_port,
    fingerprint,
    shown_certificate,
)
from steelyard_agent.enrollment.requesting import make_request
from steelyard_agent.state.errors import StateError
from steelyard_protocol.v1.enrollment_pb2 import EnrollRequest, GetAuthorityRequest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What came of it; ``name`` and ``tags`` are what the controller calls this device."""

    membership: Membership
    name: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """The device that wants to join; ``clock_s`` is its wall clock, seconds since the epoch."""

    device_id: str
    name: str
    state_root: Path
    clock_s: Callable[[], float]


async def join(code: JoinCode, newcomer: Newcomer, *, new_authority: bool = False) -> Joined:
    """Try the code's addresses in turn until one leads to the controller that made it.

    ``new_authority`` is the owner's word that a controller which this device joined has another authority now: the code
    vouches for it as for a stranger's. The device's key stays.

    Raises:
        EnrollmentError: None does (``wrong_fingerprint`` when one was somebody else's), or the code is refused.
        StateError: What came cannot be kept.
    """
    if code.is_for_person:
        raise EnrollmentError(
            "code_for_person",
            "this join code is for a person: use it with `steelyard login`, or ask for one for a device",
        )
    failures: list[EnrollmentError] = []
    for address in code.addresses:
        try:
            return await _join_at(address, code, newcomer, new_authority=new_authority)
        except EnrollmentError as error:  # noqa: PERF203 (a network each time)
            if error.reason not in {"controller_unreachable", "wrong_fingerprint", "bad_answer"}:
                raise
            _log.warning("%s", error)
            failures.append(error)
    raise next((error for error in failures if error.reason == "wrong_fingerprint"), failures[-1])


async def _join_at(address: str, code: JoinCode, newcomer: Newcomer, *, new_authority: bool) -> Joined:
    shown = await shown_certificate(address)
    async with enrollment_port(address, shown.encode("ascii")) as port:
        authority = await asked(port.GetAuthority(GetAuthorityRequest(), timeout=CALL_TIMEOUT_S), address)
        # Whoever cannot show both certificates never hears the secret.
        if fingerprint(shown, authority.authority_pem) != code.fingerprint:
            raise EnrollmentError(
                "wrong_fingerprint",
                f"{address} is not the controller that made this join code (its fingerprint is another): nothing was "
                "told to it; ask for a new code, and look who listens there",
            )
        folder = membership_folder(newcomer.state_root, authority.controller_id)
        if not new_authority:
            _refuse_impostor(folder, authority.authority_pem)
        folder.prepare()
        request = EnrollRequest(
            secret=code.secret_text,
            request_pem=await make_request(folder.key),
            device_id=newcomer.device_id,
            name=newcomer.name,
        )
        answer = await asked(port.Enroll(request, timeout=CALL_TIMEOUT_S), address)
    membership = keep_credentials(
        folder,
        answer.credentials,
        device_name=answer.name,
        device_now_s=newcomer.clock_s(),
        enrollment_pem=shown,
    )
    return Joined(membership=membership, name=answer.name, tags=tuple(answer.tags))


def _refuse_impostor(folder: MembershipFolder, authority_pem: str) -> None:
    """A controller says itself what its id is: it could name another one's, and be given that one's results."""
    held = _held_authorities(folder)
    if not held or der_certificates(authority_pem)[0] in held:
        return
    name = folder.path.name
    raise EnrollmentError(
        "another_authority",
        f"this device joined controller {name} already, whose authority was another one: if whoever administers it "
        "changed the authority, enroll again with --new-authority",
    )


def _held_authorities(folder: MembershipFolder) -> list[bytes]:
    """Return the authorities of a controller that was joined, none where enrolling anew is what mends the folder."""
    try:
        return der_certificates(folder.pem("authorities")) if folder.is_joined() else []
    except (StateError, EnrollmentError):
        return []
