"""Why a digest did not arrive."""

from __future__ import annotations

from steelyard.errors import SteelyardError


class NotifyError(SteelyardError):
    """A digest that did not arrive; the sentence holds no secret.

    ``is_transient``: another try may help, after ``wait_s`` seconds where the service said so.
    """

    def __init__(self, reason: str, message: str, *, is_transient: bool = False, wait_s: float | None = None) -> None:
        super().__init__(reason, message)
        self.is_transient = is_transient
        self.wait_s = wait_s
