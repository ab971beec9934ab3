"""What a numeric check cannot do."""

from __future__ import annotations

from steelyard.errors import SteelyardError


class NotCheckableError(SteelyardError):
    """The outputs of a model cannot be compared; the text says why, to people."""

    def __init__(self, message: str) -> None:
        super().__init__("not_checkable", message)
