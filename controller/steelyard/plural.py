"""Counted things in words."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """Return "1 epoch" or "2 epochs"; ``what`` is the word for one."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
