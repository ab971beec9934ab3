"""Certificates that others show: who it says they are, until when, and which authority signed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from steelyard.identity.errors import IdentityError
from steelyard.identity.requests import key_digest
from steelyard.identity.subjects import Subject, parse_subject

_MAX_PEM_BYTES = 8 * 1024
# What `cryptography` raises for bytes that somebody made up.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCertificate:
    """What the controller reads in a client's certificate."""

    subject: Subject
    # Lower-case hexadecimal, as in the store.
    serial: str
    not_after_ns: int
    key_digest: str
    # SHA-256 of the certificate of the authority that signed it.
    authority_digest: str


def read_shown(pem: bytes, authorities: Iterable[x509.Certificate]) -> ShownCertificate:
    """Read a client's certificate and check that one of these authorities signed it; its validity is not judged.

    Raises:
        IdentityError: ``invalid_certificate``, ``unknown_authority`` or ``invalid_subject``.
    """
    try:
        # Cut short it is no certificate any more.
        certificate = x509.load_pem_x509_certificate(pem[:_MAX_PEM_BYTES])
        key = certificate.public_key()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except _UNREADABLE as error:
        raise IdentityError("invalid_certificate", "what came is no certificate of a device or a person") from error
    if len(uris) != 1 or ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise IdentityError("invalid_certificate", "the certificate is not one of a device or a person")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IdentityError("key_type", "the certificate's key is not on secp256r1 (P-256), the only kind taken here")
    signer = next((one for one in authorities if _signed_by(certificate, one)), None)
    if signer is None:
        raise IdentityError(
            "unknown_authority", "the certificate was not signed by this controller's authority; enroll with a new code"
        )
    return ShownCertificate(
        subject=parse_subject(uris[0]),
        serial=serial_text(certificate),
        not_after_ns=int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000,
        key_digest=key_digest(key),
        authority_digest=signer.fingerprint(hashes.SHA256()).hex(),
    )


def serial_text(certificate: x509.Certificate) -> str:
    """Return a serial number as it stands in the store."""
    return f"{certificate.serial_number:x}"


def moment(at_ns: int) -> datetime:
    """Return nanoseconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, tz=timezone.utc)


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
