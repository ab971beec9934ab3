"""Secrets by name: of an environment variable or a file, read when they are needed, never shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.notify.errors import NotifyError

# A token is some hundred bytes; a file of megabytes is another file.
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret is: the name of an environment variable, or a file's path."""

    variable: str = ""
    file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if bool(self.variable) == bool(self.file):
            raise ValueError("a secret is in an environment variable or in a file: name one of them")

    def __str__(self) -> str:
        """Return where it is."""
        return f"the variable {self.variable}" if self.variable else f"the file {self.file}"

    def read(self, environ: Mapping[str, str]) -> str:
        """Return the secret, without the line's end that editors leave.

        Raises:
            NotifyError: ``missing_secret``: not there, empty, or more than one line of ASCII.
        """
        value = self._value(environ).strip()
        if re.fullmatch(r"[\x20-\x7e]+", value) is None:
            raise NotifyError("missing_secret", f"{self} holds no secret: put one line of ASCII there")
        return value

    def _value(self, environ: Mapping[str, str]) -> str:
        if self.file is None:
            if self.variable not in environ:
                raise NotifyError("missing_secret", f"{self} is not set: set it where `steelyard nightly run` runs")
            return environ[self.variable]
        try:
            with self.file.open(encoding="utf-8") as opened:
                return opened.read(_MAX_BYTES)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise NotifyError("missing_secret", f"{self} cannot be read ({why}): make it readable") from error


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which each secret is three stars: services like to repeat what they were sent."""
    # The longest first: one secret may hold another.
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
