"""Join codes: what somebody pastes on a device so that it trusts this controller, and this controller it.

``sy1-`` and base32 (RFC 4648, no padding, case and white space ignored) of, in bytes:

====== =========== ============================================================================
offset length      holds
====== =========== ============================================================================
0      1           version, 1
1      1           kind: 1 for a device, 2 for a person
2      16          the secret
18     16          the fingerprint (``steelyard.identity.fingerprint``)
34     to the end  addresses of the enrollment port, "HOST:PORT", ASCII, best first, joined by ","
last   4           checksum: the first bytes of the SHA-256 of all that stands before
====== =========== ============================================================================

The agent has a decoder of its own; ``tests/contracts/join_codes.json`` holds both to the same vectors.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import re
from dataclasses import dataclass, field

from steelyard.identity.errors import JoinCodeError

SECRET_BYTES = 16
FINGERPRINT_BYTES = 16
_PREFIX = "sy1-"
_VERSION = 1
_HEAD_BYTES = 2 + SECRET_BYTES + FINGERPRINT_BYTES
_CHECKSUM_BYTES = 4
# A QR code that a phone reads from a terminal holds about this much.
_MAX_TEXT_LENGTH = 1_000
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class CodeKind(enum.IntEnum):
    """Whom a code lets in."""

    DEVICE = 1
    PERSON = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCode:
    """A join code's content."""

    kind: CodeKind
    # Never shown in a log or a traceback.
    secret: bytes = field(repr=False)
    fingerprint: bytes
    addresses: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what the text could not hold."""
        if len(self.secret) != SECRET_BYTES or len(self.fingerprint) != FINGERPRINT_BYTES:
            raise JoinCodeError(
                "invalid_join_code",
                f"a join code holds a secret of {SECRET_BYTES} and a fingerprint of {FINGERPRINT_BYTES} bytes, not "
                f"{len(self.secret)} and {len(self.fingerprint)}",
            )
        if not self.addresses:
            raise JoinCodeError("invalid_join_code", "a join code without an address leads nowhere; ask for a new one")
        for address in self.addresses:
            if _ADDRESS.fullmatch(address) is None or not 0 < int(address.rpartition(":")[2]) < 65_536:
                raise JoinCodeError(
                    "invalid_join_code", f"address {address[:80]!r} of a join code is not HOST:PORT; ask for a new one"
                )

    @property
    def secret_text(self) -> str:
        """The secret as it travels in an EnrollRequest: lower-case hexadecimal."""
        return self.secret.hex()


def encode_join_code(code: JoinCode) -> str:
    """Write a code as text.

    Raises:
        JoinCodeError: ``invalid_join_code`` when so many addresses make it too long to be shown.
    """
    addresses = ",".join(code.addresses).encode("ascii")
    body = bytes([_VERSION, code.kind]) + code.secret + code.fingerprint + addresses
    text = _PREFIX + base64.b32encode(body + _checksum(body)).decode("ascii").rstrip("=").lower()
    if len(text) > _MAX_TEXT_LENGTH:
        raise JoinCodeError(
            "invalid_join_code",
            f"a join code with {len(code.addresses)} addresses has {len(text)} characters, past the limit of "
            f"{_MAX_TEXT_LENGTH}; name fewer addresses",
        )
    return text


def decode_join_code(text: str) -> JoinCode:
    """Read a code that somebody pasted; case and white space in it do not matter.

    Raises:
        JoinCodeError: ``invalid_join_code`` (something else), ``unknown_join_code_version``, ``mistyped_join_code``.
    """
    compact = "".join(text.split()).lower()
    if not compact.startswith(_PREFIX) or len(compact) > _MAX_TEXT_LENGTH:
        raise _not_a_code(text, compact)
    body = _verified(compact)
    if body[0] != _VERSION or body[1] not in tuple(CodeKind):
        raise JoinCodeError(
            "unknown_join_code_version",
            f"this join code is of version {body[0]} and kind {body[1]}, which this program does not know; upgrade it",
        )
    try:
        addresses = body[_HEAD_BYTES:].decode("ascii")
    except UnicodeDecodeError as error:
        raise JoinCodeError(
            "invalid_join_code", "an address of this join code is no ASCII; ask for a new one"
        ) from error
    return JoinCode(
        kind=CodeKind(body[1]),
        secret=body[2 : 2 + SECRET_BYTES],
        fingerprint=body[2 + SECRET_BYTES : _HEAD_BYTES],
        addresses=tuple(addresses.split(",")) if addresses else (),
    )


def _verified(compact: str) -> bytes:
    digits = compact[len(_PREFIX) :]
    for position, digit in enumerate(digits, start=len(_PREFIX) + 1):
        if digit not in _BASE32:
            raise JoinCodeError(
                "mistyped_join_code",
                f"{digit!r}, character {position} of the join code, is never in one (letters and 2 to 7 are); copy it "
                "again",
            )
    # Lengths of 1, 3 and 6 beyond a multiple of 8 are no whole number of bytes.
    if len(digits) % 8 in (1, 3, 6):
        raise _mistyped(len(compact))
    data = base64.b32decode(digits.upper() + "=" * (-len(digits) % 8))
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(body) < _HEAD_BYTES or _checksum(body) != checksum:
        raise _mistyped(len(compact))
    return body


def _not_a_code(text: str, compact: str) -> JoinCodeError:
    newer = re.match(r"sy[0-9]+-", compact)
    if newer is not None and newer[0] != _PREFIX:
        return JoinCodeError(
            "unknown_join_code_version",
            f"join codes that begin with {newer[0]!r} are not of this program's version ({_PREFIX!r}); upgrade it",
        )
    return JoinCodeError(
        "invalid_join_code",
        f"{text[:12]!r} ({len(text)} characters) is no join code: one begins with {_PREFIX!r} and comes from "
        "`steelyard device invite` or `steelyard user invite`",
    )


def _mistyped(length: int) -> JoinCodeError:
    return JoinCodeError(
        "mistyped_join_code",
        f"the join code does not add up ({length} characters came): some were lost, added or changed; copy it again",
    )


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]
