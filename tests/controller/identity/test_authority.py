from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from steelyard.identity.archive import seal, unseal
from steelyard.identity.authority import (
    SignedKey,
    certificate_der,
    controller_of,
    make_authority,
    make_controller_certificate,
    make_enrollment_certificate,
    sign_client,
)
from steelyard.identity.errors import IdentityError
from steelyard.identity.shown import read_shown
from steelyard.identity.subjects import Subject, parse_subject

CONTROLLER = "c0ffee" * 5 + "00"
NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
DEVICE = Subject(controller_id=CONTROLLER, kind="device", name="0b6cf94a-3b35-4c36-9d1c-3a1b8f2c7f10")
PASSPHRASE = "correct horse battery"


CLIENT_AUTHORITY = make_authority(CONTROLLER, NOW)
CLIENT_DER = certificate_der(
    sign_client(CLIENT_AUTHORITY, DEVICE, CLIENT_AUTHORITY.key.public_key(), not_after=NOW + timedelta(days=7))
)


def pem(certificate: x509.Certificate) -> bytes:
    from steelyard.identity.authority import certificate_pem

    return certificate_pem(certificate)


def test_what_a_device_checks_is_valid_for_a_board_that_woke_up_in_the_past_and_for_years() -> None:
    authority = make_authority(CONTROLLER, NOW)
    shown = make_controller_certificate(authority, CONTROLLER, NOW)
    for one in (authority, shown, make_enrollment_certificate(NOW)):
        assert one.certificate.not_valid_before_utc <= datetime(1970, 1, 1, tzinfo=timezone.utc)
        assert one.certificate.not_valid_after_utc > NOW + timedelta(days=3600)
    shown.certificate.verify_directly_issued_by(authority.certificate)


def test_only_an_authority_may_sign() -> None:
    authority = make_authority(CONTROLLER, NOW)
    client = sign_client(authority, DEVICE, authority.key.public_key(), not_after=NOW)
    shown = make_controller_certificate(authority, CONTROLLER, NOW).certificate
    for one, is_authority in ((authority.certificate, True), (client, False), (shown, False)):
        assert one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is is_authority
        assert one.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is is_authority


def test_a_clients_certificate_reads_back_as_what_was_signed() -> None:
    authority, other = make_authority(CONTROLLER, NOW), make_authority(CONTROLLER, NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = sign_client(authority, DEVICE, key.public_key(), not_after=NOW + timedelta(days=7))
    shown = read_shown(pem(certificate), [other.certificate, authority.certificate])
    assert shown.subject == DEVICE
    assert int(shown.serial, 16) == certificate.serial_number
    assert shown.authority_digest == authority.digest
    assert shown.not_after_ns == int((NOW + timedelta(days=7)).timestamp()) * 1_000_000_000


@pytest.mark.parametrize("kind", ["controller", "enrollment", "authority", "other", "nothing", "cut"])
def test_no_other_certificate_is_a_clients(kind: str) -> None:
    authority, other = make_authority(CONTROLLER, NOW), make_authority(CONTROLLER, NOW)
    client = pem(sign_client(other, DEVICE, authority.key.public_key(), not_after=NOW))
    shown = {
        "controller": make_controller_certificate(authority, CONTROLLER, NOW).certificate_pem,
        "enrollment": make_enrollment_certificate(NOW).certificate_pem,
        "authority": authority.certificate_pem,
        "other": client,
        "nothing": b"",
        "cut": client[:200],
    }
    with pytest.raises(IdentityError) as caught:
        read_shown(shown[kind], [authority.certificate])
    assert caught.value.reason == ("unknown_authority" if kind == "other" else "invalid_certificate")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "steelyard://c/device/",
        "steelyard://c/device/NOT-A-UUID",
        "steelyard://c/device/0B6CF94A-3B35-4C36-9D1C-3A1B8F2C7F10",
        "steelyard://c/device/0b6cf94a-3b35-4c36-9d1c-3a1b8f2c7f10/more",
        "steelyard://c/admin/ada",
        "steelyard://c/user/two words",
        "steelyard://c/user/../../x",
        "steelyard://a/b/user/ada",
        "https://c/user/ada",
        " steelyard://c/user/ada",
    ],
)
def test_a_name_that_is_none_of_ours_is_refused(uri: str) -> None:
    with pytest.raises(IdentityError) as caught:
        parse_subject(uri)
    assert caught.value.reason == "invalid_subject"


def test_names_read_back() -> None:
    for subject in (DEVICE, Subject(controller_id=CONTROLLER, kind="user", name="ada@lab.example")):
        assert parse_subject(subject.uri) == subject


def test_an_exported_authority_opens_with_its_passphrase_only_and_knows_its_controller() -> None:
    authority = make_authority(CONTROLLER, NOW)
    archive = seal(authority, PASSPHRASE, kdf_rounds=1_000)
    opened = unseal(archive, PASSPHRASE)
    assert opened.key_pem == authority.key_pem
    assert controller_of(opened.certificate) == CONTROLLER
    for wrong in (archive[:-1], b"", b"PKCS", authority.key_pem + authority.certificate_pem):
        with pytest.raises(IdentityError, match="not opened by this passphrase"):
            unseal(wrong, PASSPHRASE)
    with pytest.raises(IdentityError) as caught:
        unseal(archive, PASSPHRASE + "x")
    assert caught.value.reason == "invalid_archive"


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(IdentityError) as caught:
        seal(make_authority(CONTROLLER, NOW), "short")
    assert caught.value.reason == "weak_passphrase"


def test_a_key_and_a_certificate_that_do_not_belong_together_are_refused_and_no_key_is_printed() -> None:
    first, second = make_authority(CONTROLLER, NOW), make_authority(CONTROLLER, NOW)
    with pytest.raises(IdentityError) as caught:
        SignedKey(key=first.key, certificate=second.certificate)
    assert caught.value.reason == "key_mismatch"
    assert "PrivateKey" not in repr(first)


def test_a_certificate_that_is_no_authority_of_ours_names_no_controller() -> None:
    for certificate in (
        make_enrollment_certificate(NOW).certificate,
        make_controller_certificate(make_authority(CONTROLLER, NOW), CONTROLLER, NOW).certificate,
    ):
        with pytest.raises(IdentityError) as caught:
            controller_of(certificate)
        assert caught.value.reason == "invalid_archive"


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_certificate_with_changed_bytes_is_refused(places: list[tuple[int, int]]) -> None:
    der = bytearray(CLIENT_DER)
    for at, value in places:
        der[at % len(der)] = value
    if bytes(der) == CLIENT_DER:
        return
    body = base64.encodebytes(bytes(der)).decode()
    with pytest.raises(IdentityError):
        read_shown(
            f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n".encode(), [CLIENT_AUTHORITY.certificate]
        )
