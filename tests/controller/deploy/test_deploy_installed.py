"""What an earlier deployment left, and whether its certificate still opens the door."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone

from cryptography.hazmat.primitives.asymmetric import ec

from steelyard.deploy.installed import parse_installed, still_counts
from steelyard.identity.authority import SignedKey, certificate_der, make_authority, sign_client
from steelyard.identity.subjects import Subject

NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
CONTROLLER, DEVICE = "510c0000", "55fb0b5c-fed0-4c1e-9a51-0d3c8f6f2b11"


def told(authority: SignedKey) -> bytes:
    """Return a device's certificate as it is read from what the device says of itself."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    subject = Subject(controller_id=CONTROLLER, kind="device", name=DEVICE)
    certificate = sign_client(authority, subject, key, not_after=NOW + timedelta(days=7))
    text = base64.b64encode(certificate_der(certificate)).decode()
    there = parse_installed(f"device {DEVICE}\njoined {CONTROLLER}\ncertificate {CONTROLLER} {text}\n")
    assert there.controller_ids == (CONTROLLER,)
    return there.certificates[CONTROLLER]


def test_a_certificate_counts_until_it_ends_or_its_authority_goes() -> None:
    old, new = make_authority(CONTROLLER, NOW), make_authority(CONTROLLER, NOW)
    held = told(old)
    both = [one.certificate_pem.decode() for one in (new, old)]
    assert still_counts(held, both, NOW)
    assert not still_counts(held, both, NOW + timedelta(days=8))
    assert not still_counts(held, both[:1], NOW)


def test_a_certificate_that_is_missing_or_damaged_does_not_count() -> None:
    trusted = [make_authority(CONTROLLER, NOW).certificate_pem.decode()]
    assert not still_counts(b"", trusted, NOW)
    for damaged in (f"certificate {CONTROLLER} \n", f"certificate {CONTROLLER} AAAA\n"):
        assert not still_counts(parse_installed(damaged).certificates[CONTROLLER], trusted, NOW)
