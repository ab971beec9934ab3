"""Where a controller without certificates listens: on loopback only."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from steelyard_agent.errors import UsageError

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_LOOPBACK_6 = bytes(15) + b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerAddress:
    """A host on loopback and a port."""

    host: str
    port: int

    def __post_init__(self) -> None:
        """Refuse what is not on loopback, and what is no port."""
        if not 0 < self.port < 65536:
            raise UsageError("invalid_controller", f"port {self.port} is not between 1 and 65535")
        if not _is_loopback(self.host):
            raise UsageError(
                "controller_not_on_loopback",
                f"{self.host} is not on this machine: join that controller with `steelyard-agent enroll CODE` (the "
                "code is from `steelyard device invite` there), then `steelyard-agent run`; or, on its machine, run "
                "`ssh -R 7433:127.0.0.1:7433 USER@DEVICE`, then here `steelyard-agent run --controller 127.0.0.1:7433`",
            )

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_controller_address(text: str) -> ControllerAddress:
    """Read ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises:
        UsageError: It is something else, or not on loopback.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise UsageError("invalid_controller", f"{text!r} is not HOST:PORT; try --controller 127.0.0.1:7433")
    return ControllerAddress(host=match["host"].strip("[]"), port=int(match["port"]))


def _is_loopback(host: str) -> bool:
    # By hand: ipaddress is a quarter of a megabyte, and every idle agent asks this once.
    if host == "localhost":
        return True
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        packed = socket.inet_pton(family, host)
    except OSError:
        return False
    return packed == _LOOPBACK_6 if family is socket.AF_INET6 else packed[0] == 127
