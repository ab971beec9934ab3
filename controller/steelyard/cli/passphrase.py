"""A passphrase: from a file, or typed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from steelyard.errors import UsageError


def read_passphrase(file: Path | None, *, confirm: bool) -> str:
    """Return the passphrase in a file, else ask for it, twice to confirm.

    Raises:
        UsageError: ``unreadable_file``, or ``no_terminal`` to ask on.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise UsageError(
                "no_terminal", "there is no terminal to ask for a passphrase on: name its file with --passphrase-file"
            )
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"
        raise UsageError(
            "unreadable_file", f"the passphrase cannot be read from {file} ({why}); name another file"
        ) from error
