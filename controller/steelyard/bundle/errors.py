"""The error of an archive that cannot be trusted."""

from __future__ import annotations

from steelyard.errors import EXIT_UNMET, SteelyardError


class BundleError(SteelyardError):
    """A bundle that is damaged, was changed, or does not hold what it says."""

    exit_code = EXIT_UNMET

    def __init__(self, reason: str, message: str) -> None:
        # Names out of the archive stand in the sentence: it stays one line.
        super().__init__(reason, " ".join(message.split()))
