"""Addresses to listen on, and those that others are told to dial."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from steelyard.errors import UsageError

_ADVERTISED = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def parse_listen(text: str, *, any_port: bool = False) -> tuple[str, int]:
    """Split ``HOST:PORT`` of the port that asks for no certificate, and refuse one that others can reach.

    Args:
        text: "127.0.0.1:7433", "[::1]:7433", "localhost:7433".
        any_port: Let port 0 pass; an agent could not know which one it became.

    Returns:
        The host as an address (``localhost`` is 127.0.0.1) and the port.

    Raises:
        UsageError: ``invalid_listen`` or, for an address that others can reach, ``listen_not_loopback``.
    """
    host, port = _split(text, any_port=any_port)
    if not is_loopback(host):
        raise UsageError(
            "listen_not_loopback",
            f"this port asks nobody who it is, so {text!r} would let anybody in; listen on 127.0.0.1:{port}, and let "
            "devices elsewhere in by certificates (`steelyard serve --secure-listen 0.0.0.0:7443`) or by a tunnel "
            f"(`ssh -R {port or 7433}:127.0.0.1:{port or 7433} USER@DEVICE`)",
        )
    return host, port


def parse_secure_listen(text: str, *, any_port: bool = False) -> tuple[str, int]:
    """Split ``HOST:PORT`` of a port that asks for certificates, or that enrolls; any address of this machine will do.

    Returns:
        The host as an address and the port.

    Raises:
        UsageError: ``invalid_listen``.
    """
    host, port = _split(text, any_port=any_port)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(
            "invalid_listen", f"{host!r} of {text!r} is no address of this machine; write 0.0.0.0:7443 for all of them"
        ) from None
    return host, port


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine and nobody else can be it; names other than localhost are not looked up."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def beside(listen: str) -> str:
    """Return the port after one: where devices enroll when nobody said where. Any free port has any other beside it."""
    host, _, port = listen.rpartition(":")
    return f"{host}:{int(port) + 1 if int(port) else 0}"


def parse_advertised(texts: Sequence[str]) -> tuple[str, ...]:
    """Check hosts, or ``HOST:PORT``, that devices are told to dial.

    Raises:
        UsageError: ``invalid_address``.
    """
    for text in texts:
        if _ADVERTISED.fullmatch(text) is None:
            raise UsageError(
                "invalid_address", f"{text[:80]!r} is nothing to dial; write a host as 192.168.1.20, or HOST:PORT"
            )
    return tuple(texts)


def _split(text: str, *, any_port: bool) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+):([0-9]{1,5})", text)
    if match is None:
        raise UsageError("invalid_listen", f"{text!r} is no address to listen on; write HOST:PORT, as 127.0.0.1:7433")
    host, port = match[1].strip("[]"), int(match[2])
    host = "127.0.0.1" if host == "localhost" else host
    if not 0 < port < 65_536 and not (port == 0 and any_port):
        raise UsageError("invalid_listen", f"port {port} of {text!r} is not one from 1 to 65535; take 7433")
    return host, port
