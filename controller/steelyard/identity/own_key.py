"""A key of one's own and requests for it: what a person's program needs to be given a certificate."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from steelyard.identity.errors import IdentityError


def make_own_key() -> bytes:
    """Make a key on P-256 and return it as unencrypted PKCS#8 in PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def request_for(key_pem: bytes) -> str:
    """Return a PKCS#10 request for a key, in PEM; the name in it is not read by a controller.

    Raises:
        IdentityError: ``key_unreadable``.
    """
    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise IdentityError("key_unreadable", "the key of this login cannot be read; log in with a new code") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError("key_type", "the key of this login is not on P-256; log in with a new code")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "steelyard")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
