"""Tokens: a login in one line, for a job of CI that has no folder to keep one in.

``syt1-`` and base64url (no padding) of JSON under zlib, whose checksum tells that some of it was lost. It holds a key:
nothing here quotes it.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import zlib
from datetime import datetime, timezone
from typing import Any, NoReturn

from steelyard.control.logins import Login
from steelyard.errors import UsageError

TOKEN_VARIABLE = "STEELYARD_TOKEN"  # noqa: S105 - the name of the variable
_PREFIX = "syt1-"
# One has some 2 KB of each; a variable of CI holds 48 KB at most.
_MAX_TEXT_LENGTH = 48_000
_MAX_JSON_BYTES = 256 * 1024


def encode_token(login: Login) -> str:
    """Write a login as one line."""
    content = {
        "addresses": list(login.addresses),
        "controller_id": login.controller_id,
        "controller_name": login.controller_name,
        "user": login.user,
        "not_after": login.not_after_s,
        "key": login.key_pem.decode(),
        "certificate": login.certificate_pem.decode(),
        "authorities": login.authorities_pem.decode(),
    }
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)
    return _PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_token(text: str, now_s: float | None = None) -> Login:
    """Read a token; white space around and in it does not matter.

    Raises:
        UsageError: ``invalid_token`` or ``token_expired``.
    """
    compact = "".join(text.split())
    if not compact:
        _refuse("is empty, as where a job gets no secret (one of a fork, say)")
    if not compact.startswith(_PREFIX):
        _refuse(f"does not begin with {_PREFIX!r}")
    if len(compact) > _MAX_TEXT_LENGTH:
        _refuse(f"has {len(compact)} characters, more than a token ever has")
    login = _login(_content(compact[len(_PREFIX) :]))
    if login.not_after_s <= (time.time() if now_s is None else now_s):
        end = datetime.fromtimestamp(login.not_after_s, tz=timezone.utc)
        raise UsageError(
            "token_expired",
            f"the token of {login.user} ended on {end:%Y-%m-%d at %H:%M} UTC: whoever administers the controller makes "
            f"another one with `steelyard user token {login.user}`, which goes into {TOKEN_VARIABLE}",
        )
    return login


def _content(digits: str) -> dict[str, Any]:
    reader = zlib.decompressobj()
    try:
        packed = base64.b64decode(digits + "=" * (-len(digits) % 4), altchars=b"-_", validate=True)
        content = json.loads(reader.decompress(packed, _MAX_JSON_BYTES))
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        content = None
    # Without its end the checksum was not looked at.
    if not isinstance(content, dict) or not reader.eof:
        _refuse("is damaged or not whole")
    return content


def _login(content: dict[str, Any]) -> Login:
    try:
        not_after_s = int(content["not_after"])
        # Also a date that no calendar has is no token's.
        datetime.fromtimestamp(not_after_s, tz=timezone.utc)
        addresses = tuple(str(one) for one in content["addresses"])
        login = Login(
            controller_id=str(content["controller_id"]),
            controller_name=str(content["controller_name"]),
            user=str(content["user"]),
            addresses=addresses,
            not_after_s=not_after_s,
            # A token is not renewed.
            renew_after_s=not_after_s,
            key_pem=str(content["key"]).encode(),
            certificate_pem=str(content["certificate"]).encode(),
            authorities_pem=str(content["authorities"]).encode(),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, UsageError):
        login = None
    if login is None or not login.addresses:
        _refuse("holds no login of a controller")
    return login


def _refuse(what: str) -> NoReturn:
    # Never with the text, nor with the error that holds some of it as its cause.
    raise UsageError(
        "invalid_token",
        f"the token in {TOKEN_VARIABLE} {what}: copy the whole line that `steelyard user token` printed, or have "
        "another one made",
    ) from None
