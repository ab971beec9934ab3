"""A passphrase: from a file, or typed."""

from __future__ import annotations

from pathlib import Path

import click

from steelyard.errors import UsageError


def read_passphrase(file: Path | None, *, confirm: bool) -> str:
    """Return the passphrase in a file, else ask for it, twice to confirm.

    Raises:
        UsageError: ``unreadable_file``.
    """
    if file is None:
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "unreadable_file", f"the passphrase cannot be read from {file} ({error}); name another file"
        ) from error
