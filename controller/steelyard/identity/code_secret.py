"""The secret of a join code: made at random, kept as a hash."""

from __future__ import annotations

import hashlib
import re

from steelyard.identity.errors import IdentityError
from steelyard.identity.join_code import SECRET_BYTES

_TEXT = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}")


def secret_hash(secret_text: str) -> str:
    """Return what the store keeps of a secret, given as it travels (lower-case hexadecimal).

    A plain SHA-256: the secret has 128 random bits, so that nothing is to be guessed from it.

    Raises:
        IdentityError: ``unknown_code`` for a text that no code ever held.
    """
    if _TEXT.fullmatch(secret_text) is None:
        raise unknown_code()
    return hashlib.sha256(secret_text.encode("ascii")).hexdigest()


def unknown_code() -> IdentityError:
    """Return the refusal of a secret that nobody was given, or whose code is forgotten."""
    return IdentityError("unknown_code", "this join code is not known here; ask for a new one")
