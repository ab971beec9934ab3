"""Requests for certificates (PKCS#10): only the key in them counts, and that its owner signed."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from steelyard.identity.errors import IdentityError

# One of P-256 has some 500 bytes.
_MAX_PEM_BYTES = 8 * 1024


def read_request(pem: str) -> ec.EllipticCurvePublicKey:
    """Return the key that a request is for; names and extensions in it are not read.

    Raises:
        IdentityError: ``invalid_request``, ``key_type`` or ``request_signature``.
    """
    data = pem.encode()
    if len(data) > _MAX_PEM_BYTES:
        raise IdentityError("invalid_request", f"a request of {len(data)} bytes is past the limit of {_MAX_PEM_BYTES}")
    try:
        request = x509.load_pem_x509_csr(data)
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise IdentityError("invalid_request", "what came is no PKCS#10 request in PEM; make it anew") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError("key_type", "the request's key is not on secp256r1 (P-256), the only kind taken here")
    if not _is_signed(request):
        raise IdentityError("request_signature", "the request is not signed by the key in it; make it anew")
    return key


def key_digest(key: ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key, in lower-case hexadecimal."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _is_signed(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
