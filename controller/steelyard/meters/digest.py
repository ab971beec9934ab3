"""HTTP digest authentication (RFC 7616) with SHA-256, which urllib of Python 3.11 does not speak; plugs use it."""

from __future__ import annotations

import hashlib
import re
import secrets

_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}


def answer_challenge(
    challenge: str, *, user: str, password: str, path: str, client_nonce: str | None = None
) -> str | None:
    """Return the Authorization header for a GET of ``path``, None for a challenge that is not understood.

    ``client_nonce`` None draws one.
    """
    if not challenge.lower().startswith("digest "):
        return None
    fields = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(challenge)}
    algorithm = fields.get("algorithm", "MD5").upper()
    if algorithm not in _ALGORITHMS or "auth" not in fields.get("qop", "").replace(",", " ").split():
        return None
    if "realm" not in fields or "nonce" not in fields:
        return None
    client_nonce = secrets.token_hex(8) if client_nonce is None else client_nonce
    secret = _hashed(algorithm, user, fields["realm"], password)
    what = _hashed(algorithm, "GET", path)
    response = _hashed(algorithm, secret, fields["nonce"], "00000001", client_nonce, "auth", what)
    opaque = f', opaque="{fields["opaque"]}"' if "opaque" in fields else ""
    return (
        f'Digest username="{user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{path}", '
        f'algorithm={algorithm}, qop=auth, nc=00000001, cnonce="{client_nonce}", response="{response}"{opaque}'
    )


def _hashed(algorithm: str, *parts: str) -> str:
    return _ALGORITHMS[algorithm](":".join(parts).encode()).hexdigest()
