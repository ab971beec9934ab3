"""Whom a certificate is for, and how that stands in it: ``steelyard://CONTROLLER/device/ID`` or ``.../user/NAME``."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Literal

from steelyard.identity.errors import IdentityError

Kind = Literal["device", "user"]

# A person's name is part of a URI and of a table: no space, no slash.
_USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_CONTROLLER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,61}")
_URI = re.compile(r"steelyard://(?P<controller>[^/]+)/(?P<kind>device|user)/(?P<name>[^/]+)")

# The name in the enrollment port's certificate, the same for every controller: its fingerprint tells them apart.
ENROLLMENT_NAME = "enrollment.steelyard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A device (by its id) or a person (by a name) of one controller."""

    controller_id: str
    kind: Kind
    name: str

    def __post_init__(self) -> None:
        """Refuse what the URI could not hold unambiguously."""
        if _CONTROLLER_ID.fullmatch(self.controller_id) is None:
            raise IdentityError("invalid_subject", f"controller id {self.controller_id[:80]!r} cannot stand in a name")
        require_user_name(self.name) if self.kind == "user" else require_device_id(self.name)

    @property
    def uri(self) -> str:
        """The name in the certificate."""
        return f"steelyard://{self.controller_id}/{self.kind}/{self.name}"


def parse_subject(uri: str) -> Subject:
    """Read the name in a certificate.

    Raises:
        IdentityError: ``invalid_subject``.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise IdentityError("invalid_subject", f"{uri[:200]!r} in the certificate names neither a device nor a person")
    kind: Kind = "device" if match["kind"] == "device" else "user"
    return Subject(controller_id=match["controller"], kind=kind, name=match["name"])


def controller_name(controller_id: str) -> str:
    """Return the name in a controller's own certificate."""
    return f"{controller_id}.steelyard"


def require_device_id(text: str) -> str:
    """Return ``text`` when it is a lower-case UUID, as an agent makes for itself.

    Raises:
        IdentityError: ``invalid_subject``.
    """
    try:
        if str(uuid.UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise IdentityError("invalid_subject", f"device id {text[:80]!r} is no lower-case UUID")


def require_user_name(text: str) -> str:
    """Return ``text`` when it can name a person.

    Raises:
        IdentityError: ``invalid_subject``.
    """
    if _USER_NAME.fullmatch(text) is None:
        raise IdentityError(
            "invalid_subject",
            f"{text[:80]!r} cannot name a person: take 1 to 64 letters, digits, '.', '_', '@' or '-', the first a "
            "letter or digit",
        )
    return text
