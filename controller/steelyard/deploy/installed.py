"""What an earlier deployment left on a device."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The version that runs, the device's id and the ids of the controllers that it joined; "" and none without.

    ``certificates`` are those that the controllers gave it, in PEM, by id.
    """

    label: str = ""
    device_id: str = ""
    controller_ids: tuple[str, ...] = ()
    certificates: Mapping[str, bytes] = field(default_factory=dict)


def parse_installed(answer: str) -> Installed:
    """Read what ``scripts.INSTALLED`` printed."""
    pairs = [line.split(" ", 1) for line in answer.splitlines() if " " in line]
    told = dict(pairs)
    return Installed(
        label=told.get("label", ""),
        device_id=told.get("device", ""),
        controller_ids=tuple(value for key, value in pairs if key == "joined"),
        certificates=dict(_certificate(value) for key, value in pairs if key == "certificate"),
    )


def still_counts(certificate_pem: bytes, authorities: Iterable[str], now: datetime) -> bool:
    """Return whether a device's certificate is of one of these authorities (PEM) and has not ended."""
    from cryptography import x509

    from steelyard.identity.errors import IdentityError
    from steelyard.identity.shown import moment, read_shown

    trusted = [x509.load_pem_x509_certificate(one.encode("ascii")) for one in authorities]
    try:
        return now < moment(read_shown(certificate_pem, trusted).not_after_ns)
    except IdentityError:
        return False


def _certificate(text: str) -> tuple[str, bytes]:
    controller_id, _, encoded = text.partition(" ")
    lines = textwrap.fill(encoded, 64)
    return controller_id, f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()
