"""Reads join codes, in plain Python: what a controller's ``steelyard device invite`` prints.

The format stands in docs/decisions/0022-enrollment.md and docs/enrollment.md: ``sy1-`` and base32 of version, kind (1
for a device), secret (16 bytes), fingerprint (16 bytes), addresses joined by ",", and four bytes of SHA-256 over all
before. The controller has a reader of its own; ``tests/contracts/join_codes.json`` holds both to the same vectors.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field

from steelyard_agent.enrollment.errors import JoinCodeError

_PREFIX = "sy1-"
_VERSION, _DEVICE, _PERSON = 1, 1, 2
_SECRET = slice(2, 18)
_FINGERPRINT = slice(18, 34)
_HEAD_BYTES = 34
_CHECKSUM_BYTES = 4
_MAX_TEXT_LENGTH = 1_000
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_BASE32 = frozenset("abcdefghijklmnopqrstuvwxyz234567")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCode:
    """What a code says; ``addresses`` are those of the enrollment port, best first."""

    # Never shown in a log or a traceback.
    secret_text: str = field(repr=False)
    fingerprint: bytes
    addresses: tuple[str, ...]
    is_for_person: bool = False

    def __post_init__(self) -> None:
        """Refuse a code that leads nowhere."""
        if not self.addresses:
            raise JoinCodeError("invalid_join_code", "this join code names no address; ask for a new one")
        for address in self.addresses:
            if _ADDRESS.fullmatch(address) is None or not 0 < int(address.rpartition(":")[2]) < 65_536:
                raise JoinCodeError(
                    "invalid_join_code",
                    f"address {address[:80]!r} of the join code is not HOST:PORT; ask for a new one",
                )


def decode_join_code(text: str) -> JoinCode:
    """Read a code that somebody pasted; case and white space in it do not matter.

    Raises:
        JoinCodeError: ``invalid_join_code``, ``unknown_join_code_version`` or ``mistyped_join_code``.
    """
    compact = "".join(text.split()).lower()
    if not compact.startswith(_PREFIX) or len(compact) > _MAX_TEXT_LENGTH:
        raise _not_a_code(text, compact)
    body = _verified(compact[len(_PREFIX) :])
    if body[0] != _VERSION or body[1] not in {_DEVICE, _PERSON}:
        raise JoinCodeError(
            "unknown_join_code_version",
            f"this join code is of version {body[0]} and kind {body[1]}, which this agent does not know; upgrade it",
        )
    try:
        addresses = body[_HEAD_BYTES:].decode("ascii")
    except UnicodeDecodeError as error:
        raise JoinCodeError(
            "invalid_join_code", "an address of this join code is no ASCII; ask for a new one"
        ) from error
    return JoinCode(
        secret_text=body[_SECRET].hex(),
        fingerprint=body[_FINGERPRINT],
        addresses=tuple(addresses.split(",")) if addresses else (),
        is_for_person=body[1] == _PERSON,
    )


def _verified(digits: str) -> bytes:
    strange = next((digit for digit in digits if digit not in _BASE32), "")
    # Lengths of 1, 3 and 6 beyond a multiple of 8 are no whole number of bytes.
    if strange or len(digits) % 8 in {1, 3, 6}:
        raise _mistyped(f"{strange!r} is never in one" if strange else f"it has {len(digits)} characters after the '-'")
    data = base64.b32decode(digits.upper() + "=" * (-len(digits) % 8))
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(body) < _HEAD_BYTES or hashlib.sha256(body).digest()[:_CHECKSUM_BYTES] != checksum:
        raise _mistyped("some characters were lost, added or changed")
    return body


def _mistyped(why: str) -> JoinCodeError:
    return JoinCodeError("mistyped_join_code", f"the join code does not add up: {why}; copy it again")


def _not_a_code(text: str, compact: str) -> JoinCodeError:
    newer = re.match(r"sy[0-9]+-", compact)
    if newer is not None and newer[0] != _PREFIX:
        return JoinCodeError(
            "unknown_join_code_version",
            f"join codes that begin with {newer[0]!r} are not of this agent's version ({_PREFIX!r}); upgrade it",
        )
    return JoinCodeError(
        "invalid_join_code",
        f"{text[:12]!r} ({len(text)} characters) is no join code: one begins with {_PREFIX!r} and comes from "
        "`steelyard device invite`",
    )
