"""What a device may be called."""

from __future__ import annotations

from steelyard_agent.errors import UsageError

_MAX_NAME_LENGTH = 200


def refuse_unreadable_name(name: str) -> None:
    """Refuse what every controller refuses, before one is dialled; "" takes the host's name.

    Raises:
        UsageError: ``invalid_name``.
    """
    if not (name.isprintable() and name.strip() == name and len(name) <= _MAX_NAME_LENGTH):
        raise UsageError(
            "invalid_name",
            f"the name {name[:80]!r} must be 1 to {_MAX_NAME_LENGTH} printable characters; change --name",
        )
