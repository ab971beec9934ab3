"""Logging in: a join code becomes a certificate of a person's program; and renewing it while it is used."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from steelyard.control.errors_on_wire import raise_from_rpc
from steelyard.control.logins import Login, login_from
from steelyard.errors import DeviceError
from steelyard.fleet.transport import CONTROL_CLIENT_OPTIONS
from steelyard.identity.errors import IdentityError, JoinCodeError
from steelyard.identity.fingerprint import fingerprint
from steelyard.identity.join_code import CodeKind, JoinCode, decode_join_code
from steelyard.identity.subjects import ENROLLMENT_NAME
from steelyard_protocol.v1 import enrollment_pb2, enrollment_pb2_grpc

_T = TypeVar("_T")
_TIMEOUT_S = 10.0


def log_in(code_text: str) -> Login:
    """Use a person's join code. The code's secret is said only to the controller that the code names.

    Raises:
        JoinCodeError: The code was mistyped, or is for a device.
        IdentityError: ``fingerprint_mismatch``.
        DeviceError: ``controller_unreachable``.
        UsageError: The controller refused the code.
    """
    from steelyard.identity.own_key import make_own_key, request_for

    code = decode_join_code(code_text)
    if code.kind is not CodeKind.PERSON:
        raise JoinCodeError(
            "code_for_device", "this join code is for a device: use it there with `steelyard-agent enroll CODE`"
        )
    address, shown_pem = _shown_certificate(code)
    credentials = grpc.ssl_channel_credentials(shown_pem.encode())
    options = [*CONTROL_CLIENT_OPTIONS, ("grpc.ssl_target_name_override", ENROLLMENT_NAME)]
    with grpc.secure_channel(address, credentials, options=options) as channel:
        stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
        authority = _call(lambda: stub.GetAuthority(enrollment_pb2.GetAuthorityRequest(), timeout=_TIMEOUT_S))
        _require_fingerprint(code, shown_pem, authority.authority_pem)
        key_pem = make_own_key()
        request = enrollment_pb2.EnrollRequest(secret=code.secret_text, request_pem=request_for(key_pem))
        response = _call(lambda: stub.Enroll(request, timeout=_TIMEOUT_S))
    return login_from(response.credentials, user=response.name, key_pem=key_pem)


def open_secure_channel(login: Login, address: str) -> grpc.Channel:
    """Return a channel to the port with certificates; it connects when it is first used."""
    credentials = grpc.ssl_channel_credentials(login.authorities_pem, login.key_pem, login.certificate_pem)
    # The controller is known by its certificate's name, whatever address was dialled.
    options = [*CONTROL_CLIENT_OPTIONS, ("grpc.ssl_target_name_override", login.controller_name)]
    return grpc.secure_channel(address, credentials, options=options)


def renewed(login: Login, channel: grpc.Channel, now_s: float | None = None) -> Login | None:
    """Return the login that follows once two thirds of its life are over, None before.

    Raises:
        UsageError: The controller refused.
    """
    if (time.time() if now_s is None else now_s) < login.renew_after_s:
        return None
    from steelyard.identity.own_key import request_for

    stub = enrollment_pb2_grpc.RenewalServiceStub(channel)
    request = enrollment_pb2.RenewRequest(request_pem=request_for(login.key_pem))
    response = _call(lambda: stub.Renew(request, timeout=_TIMEOUT_S))
    return login_from(response.credentials, user=login.user, key_pem=login.key_pem)


def _shown_certificate(code: JoinCode) -> tuple[str, str]:
    """Return the first address of a code that answers, and the certificate that it shows; nothing is trusted yet."""
    tried = []
    for address in code.addresses:
        host, _, port = address.rpartition(":")
        try:
            return address, ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=_TIMEOUT_S)
        except OSError as error:
            tried.append(f"{address} ({error})")
    raise DeviceError(
        "controller_unreachable",
        f"the controller of this code answers at none of its addresses: {'; '.join(tried)}; is `steelyard serve` "
        "running there, and does a firewall let its ports through?",
    )


def _require_fingerprint(code: JoinCode, shown_pem: str, authority_pem: str) -> None:
    try:
        found = fingerprint(ssl.PEM_cert_to_DER_cert(shown_pem), ssl.PEM_cert_to_DER_cert(authority_pem))
    except ValueError:
        found = b""
    if found != code.fingerprint:
        raise IdentityError(
            "fingerprint_mismatch",
            "whoever answers is not the controller that gave this code, so nothing of it was said: it changed its "
            "authority since (ask for a new code), or somebody stands in between",
        )


def _call(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except grpc.RpcError as error:
        raise_from_rpc(error)
