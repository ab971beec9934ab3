"""The identity folder's files as one encrypted text, for a backup.

Scrypt (RFC 7914) with N = 2^17, r = 8, p = 1, as the OWASP cheat sheet on password storage asks for (it takes 128 MiB),
then AES-256-GCM, whose tag tells a wrong passphrase and a changed byte.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from steelyard.identity.archive import MIN_PASSPHRASE_LENGTH
from steelyard.identity.errors import IdentityError

_MAGIC = b"steelyard identity 1\n"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32
_SCRYPT_N = 2**17
MAX_SEALED_BYTES = 1024 * 1024


def seal_files(files: Mapping[str, bytes], passphrase: str, *, scrypt_n: int = _SCRYPT_N) -> bytes:
    """Encrypt files by name.

    Raises:
        IdentityError: ``weak_passphrase`` below 12 characters.
    """
    if len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise IdentityError(
            "weak_passphrase",
            f"a passphrase of {len(passphrase)} characters is too short for keys that let anybody in; take "
            f"{MIN_PASSPHRASE_LENGTH} or more",
        )
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    plain = json.dumps({name: b64encode(content).decode() for name, content in files.items()}).encode()
    return _MAGIC + salt + nonce + AESGCM(_key(passphrase, salt, scrypt_n)).encrypt(nonce, plain, _MAGIC)


def unseal_files(sealed: bytes, passphrase: str, *, scrypt_n: int = _SCRYPT_N) -> dict[str, bytes]:
    """Decrypt what ``seal_files`` made.

    Raises:
        IdentityError: ``invalid_archive`` (another file, or a wrong passphrase: the two cannot be told apart).
    """
    # Cut short, or with another beginning, it is not opened.
    rest = sealed[:MAX_SEALED_BYTES].removeprefix(_MAGIC)
    salt, nonce, body = rest[:_SALT_BYTES], rest[_SALT_BYTES:][:_NONCE_BYTES], rest[_SALT_BYTES + _NONCE_BYTES :]
    try:
        plain = json.loads(AESGCM(_key(passphrase, salt, scrypt_n)).decrypt(nonce, body, _MAGIC))
        return {str(name): b64decode(content) for name, content in plain.items()}
    except (InvalidTag, ValueError, AttributeError, TypeError) as error:
        raise IdentityError(
            "invalid_archive", "the identity is not opened by this passphrase, or is none of `steelyard backup`"
        ) from error


def _key(passphrase: str, salt: bytes, scrypt_n: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=scrypt_n, r=8, p=1).derive(passphrase.encode())
