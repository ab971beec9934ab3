"""Join codes and renewals on the enrollment port, over real sockets."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from steelyard.identity.join_code import decode_join_code
from steelyard.identity.roles import Role
from steelyard_protocol.v1 import enrollment_pb2, enrollment_pb2_grpc
from tests.loopback.identity.conftest import Ports
from tests.support.certificate_holder import (
    Holder,
    Refusal,
    Session,
    enroll,
    enrollment_channel,
    make_key,
    refused,
    request_pem,
)

DAY_S = 24 * 3600


async def asked(code: str, **fields: str) -> Refusal:
    """Enroll with some fields changed, and return the refusal."""
    values = {
        "secret": decode_join_code(code).secret_text,
        "request_pem": request_pem(make_key()),
        "device_id": str(uuid.uuid4()),
        "name": "board",
        **fields,
    }
    async with await enrollment_channel(code) as channel:
        stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
        return await refused(stub.Enroll(enrollment_pb2.EnrollRequest(**values), timeout=60))


async def renewed_late(ports: Ports, holder: Holder, key: ec.EllipticCurvePrivateKey) -> enrollment_pb2.Credentials:
    code = await ports.device_code()
    async with await enrollment_channel(code) as channel:
        request = enrollment_pb2.RenewExpiredRequest(
            certificate_pem=holder.credentials.certificate_pem, request_pem=request_pem(key)
        )
        stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
        return (await stub.RenewExpired(request, timeout=60)).credentials


def ed25519_request() -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def p384_request() -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def unsigned_request() -> str:
    """A request whose signature is of other content."""
    der = bytearray(
        x509.load_pem_x509_csr(request_pem(make_key(), "aaaa").encode()).public_bytes(serialization.Encoding.DER)
    )
    at = der.index(b"aaaa")
    der[at : at + 4] = b"bbbb"
    changed = x509.load_der_x509_csr(bytes(der))
    return changed.public_bytes(serialization.Encoding.PEM).decode()


async def test_a_code_gives_what_its_invitation_said_and_nothing_of_the_request_counts(ports: Ports) -> None:
    invitation = await ports.administration.invite_device(use_count=2, valid_ms=0, tags=("rack1", "pi5"))
    holder = await enroll(invitation.code, name="shelf")
    certificate = x509.load_pem_x509_certificate(holder.credentials.certificate_pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uri = f"steelyard://{ports.controller.controller_id}/device/{holder.device_id}"
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [uri]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert holder.tags == ("pi5", "rack1")
    assert list(holder.credentials.addresses) == [ports.doors.secure_address]
    assert list(holder.credentials.enrollment_addresses) == [ports.doors.enroll_address]
    found = await ports.controller.devices.find("shelf")
    assert (found.standing, list(found.tags), found.online) == ("enrolled", ["pi5", "rack1"], False)
    assert found.certificate_not_after.seconds == holder.credentials.not_after.seconds


async def test_a_used_code_is_refused_and_a_replay_with_another_key_too(ports: Ports) -> None:
    code = await ports.device_code()
    holder = await enroll(code)
    for fields in ({}, {"device_id": holder.device_id}):
        refusal = await asked(code, **fields)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "code_used")


async def test_whoever_lost_the_answer_asks_again_and_uses_up_nothing(ports: Ports) -> None:
    code = await ports.device_code(uses=2)
    key, device_id = make_key(), str(uuid.uuid4())
    answers = [await enroll(code, device_id=device_id, key=key, name="rack") for _ in range(3)]
    assert [one.name for one in answers] == ["rack"] * 3
    await enroll(code, name="another")
    assert (await asked(code)).reason == "code_used"
    async with answers[0].channel() as channel:
        await Session(channel).open(device_id)


async def test_devices_that_race_for_a_code_share_its_uses(ports: Ports) -> None:
    code = await ports.device_code(uses=3)
    outcomes = await asyncio.gather(*(enroll(code, name="rack") for _ in range(5)), return_exceptions=True)
    taken = [one for one in outcomes if isinstance(one, Holder)]
    assert sorted(one.name for one in taken) == ["rack", "rack-2", "rack-3"]
    assert len(outcomes) - len(taken) == 2


async def test_an_expired_code_is_refused(ports: Ports) -> None:
    code = await ports.device_code(valid_ms=60_000)
    ports.clock.moved_s = 61
    refusal = await asked(code)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "code_expired")


async def test_a_secret_that_nobody_was_given_is_refused(ports: Ports) -> None:
    code = await ports.device_code()
    for secret in ("0" * 32, "", "x" * 32, "0" * 33, "' OR 1=1 --"):
        assert (await asked(code, secret=secret)).reason == "unknown_code"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (ed25519_request, "key_type"),
        (p384_request, "key_type"),
        (unsigned_request, "request_signature"),
        (lambda: "-----BEGIN CERTIFICATE REQUEST-----\nnone\n-----END CERTIFICATE REQUEST-----", "invalid_request"),
        (lambda: "", "invalid_request"),
        (lambda: "a" * 9_000, "invalid_request"),
    ],
)
async def test_a_request_that_is_none_is_refused_and_uses_up_no_code(ports: Ports, make: object, reason: str) -> None:
    code = await ports.device_code()
    assert callable(make)
    refusal = await asked(code, request_pem=make())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    await enroll(code)


async def test_names_and_ids_that_make_no_sense_are_refused_and_use_up_no_code(ports: Ports) -> None:
    code = await ports.device_code()
    assert (await asked(code, device_id="../../etc")).reason == "invalid_subject"
    assert (await asked(code, device_id=str(uuid.uuid4()).upper())).reason == "invalid_subject"
    assert (await asked(code, name="two\nlines")).reason == "invalid_name"
    assert (await asked(code, name="")).reason == "invalid_name"
    assert (await enroll(code, name="local")).name == "local-2"


async def test_nobody_becomes_a_device_that_somebody_else_is(ports: Ports) -> None:
    holder = await ports.device()
    refusal = await asked(await ports.device_code(uses=5), device_id=holder.device_id)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "device_taken")
    await ports.administration.set_standing(holder.device_id, "suspended")
    assert (await asked(await ports.device_code(), device_id=holder.device_id)).reason == "device_suspended"


async def test_codes_of_people_and_of_devices_do_not_stand_in_for_each_other(ports: Ports) -> None:
    invitation, _ = await ports.administration.invite_user("ada", Role.READ, valid_ms=0)
    assert (await asked(invitation.code)).reason == "code_for_person"
    assert (await asked(await ports.device_code(), device_id="")).reason == "code_for_device"
    person = await enroll(invitation.code, device_id="")
    assert person.name == "ada"
    assert (await asked(invitation.code, device_id="")).reason == "code_used"


async def test_the_code_of_a_removed_person_is_void(ports: Ports) -> None:
    invitation, _ = await ports.administration.invite_user("ada", Role.READ, valid_ms=0)
    await ports.administration.remove_user("ada")
    assert (await asked(invitation.code, device_id="")).reason == "unknown_code"


async def test_a_device_that_was_off_comes_back_by_its_old_key_within_the_grace_period(ports: Ports) -> None:
    holder = await ports.device()
    ports.clock.moved_s = 60 * DAY_S
    credentials = await renewed_late(ports, holder, holder.key)
    async with holder.renewed(credentials).channel() as channel:
        await Session(channel).open(holder.device_id)


async def test_after_the_grace_period_with_another_key_or_revoked_it_does_not(ports: Ports) -> None:
    holder = await ports.device()
    assert (await refused(renewed_late(ports, holder, make_key()))).reason == "another_key"
    person = await ports.user("ada", Role.READ)
    assert (await refused(renewed_late(ports, person, person.key))).reason == "not_a_device"
    ports.clock.moved_s = 98 * DAY_S
    assert (await refused(renewed_late(ports, holder, holder.key))).reason == "grace_over"
    ports.clock.moved_s = 0
    await ports.administration.set_standing(holder.device_id, "suspended")
    assert (await refused(renewed_late(ports, holder, holder.key))).reason == "device_suspended"
    await ports.administration.set_standing(holder.device_id, "removed")
    refusal = await refused(renewed_late(ports, holder, holder.key))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate_revoked")


async def test_what_is_no_certificate_of_ours_is_not_renewed(ports: Ports) -> None:
    holder = await ports.device()
    for pem in ("", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----", holder.credentials.authorities_pem):
        refusal = await refused(renewed_late(ports, holder.with_certificate(pem), holder.key))
        assert refusal.reason == "invalid_certificate"
