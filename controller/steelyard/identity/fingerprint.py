"""The fingerprint that a join code carries: it binds the code to one enrollment port and one authority."""

from __future__ import annotations

import hashlib

from steelyard.identity.join_code import FINGERPRINT_BYTES


def fingerprint(enrollment_certificate_der: bytes, authority_certificate_der: bytes) -> bytes:
    """Return the first 16 bytes of the SHA-256 over the DER of the port's certificate, then of the authority's."""
    return hashlib.sha256(enrollment_certificate_der + authority_certificate_der).digest()[:FINGERPRINT_BYTES]
