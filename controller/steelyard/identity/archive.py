"""The authority as one encrypted file: PKCS#12 with the key (PKCS#8 inside) and the certificate.

PKCS#12 and not a bare PKCS#8 file, because ``cryptography`` fixes the latter's key derivation at 2,048 rounds, which a
passphrase does not survive. ``openssl pkcs12 -in FILE`` opens it.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from steelyard.identity.authority import SignedKey
from steelyard.identity.errors import IdentityError

MIN_PASSPHRASE_LENGTH = 12
# PBKDF2 with HMAC-SHA-256, as the OWASP cheat sheet on password storage asks for (2023).
KDF_ROUNDS = 600_000
_MAX_ARCHIVE_BYTES = 64 * 1024


def seal(authority: SignedKey, passphrase: str, *, kdf_rounds: int = KDF_ROUNDS) -> bytes:
    """Encrypt an authority; takes a second of processor time.

    Raises:
        IdentityError: ``weak_passphrase`` below 12 characters.
    """
    if len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise IdentityError(
            "weak_passphrase",
            f"a passphrase of {len(passphrase)} characters is too short for a key that lets anybody in; take "
            f"{MIN_PASSPHRASE_LENGTH} or more",
        )
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(kdf_rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(passphrase.encode())
    )
    return pkcs12.serialize_key_and_certificates(
        b"steelyard authority", authority.key, authority.certificate, None, encryption
    )


def unseal(archive: bytes, passphrase: str) -> SignedKey:
    """Decrypt an authority.

    Raises:
        IdentityError: ``invalid_archive`` (another file, or a wrong passphrase: the two cannot be told apart).
    """
    try:
        # Cut short it is no archive any more.
        key, certificate, _ = pkcs12.load_key_and_certificates(archive[:_MAX_ARCHIVE_BYTES], passphrase.encode())
    except ValueError as error:
        raise IdentityError(
            "invalid_archive", "the file is not opened by this passphrase, or is no export of `steelyard ca export`"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate is None:
        raise IdentityError("invalid_archive", "the file holds no key on P-256 with its certificate")
    return SignedKey(key=key, certificate=certificate)
