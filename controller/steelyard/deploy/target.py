"""Whom to reach: ``ssh://[user@]host[:port]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard.errors import UsageError

_TARGET = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """A login on a device; ``user`` "" and ``port`` None leave it to ssh's own configuration."""

    host: str
    user: str = ""
    port: int | None = None

    def __post_init__(self) -> None:
        """Refuse what ssh would take for an option, and ports that are none."""
        if not self.host or self.host.startswith("-") or self.user.startswith("-"):
            raise ValueError(f"{self.user!r} at {self.host!r} is no login")
        if self.port is not None and not 0 < self.port < 65_536:
            raise ValueError(f"{self.port} is no port")

    def __str__(self) -> str:
        """Return it as it is typed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{f'{self.user}@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"

    def words(self) -> tuple[str, ...]:
        """Return the arguments of ssh that name it."""
        port = ("-p", str(self.port)) if self.port else ()
        return (*port, f"{self.user}@{self.host}" if self.user else self.host)


def parse_target(text: str) -> SshTarget:
    """Read a target.

    Raises:
        UsageError: ``invalid_target``.
    """
    found = _TARGET.fullmatch(text)
    port = int(found["port"]) if found is not None and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65_536):
        raise UsageError(
            "invalid_target", f"{text[:120]!r} is no device to deploy to: write ssh://USER@HOST or ssh://USER@HOST:PORT"
        )
    return SshTarget(host=found["host"].strip("[]"), user=found["user"] or "", port=port)
