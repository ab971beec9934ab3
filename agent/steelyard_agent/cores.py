"""Cores that are alike. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreGroup:
    """Logical cores of one kind; ``capacity`` is the kernel's (1024 is the fastest), None where it does not tell."""

    name: str
    core_ids: tuple[int, ...]
    capacity: int | None = None
    max_frequency_hz: int | None = None

    def __post_init__(self) -> None:
        """Refuse a group without cores."""
        if not self.core_ids:
            raise ValueError(f"core group {self.name!r} has no cores")
