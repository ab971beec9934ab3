"""After how many crashes in a row a model is kept from a device."""

from __future__ import annotations

from steelyard.errors import UsageError

# One crash may be the neighbour's memory, two an accident; three in a row are the model's.
DEFAULT_CRASH_LIMIT = 3
MOST_CRASHES = 1_000


def require_crash_limit(count: int) -> int:
    """Return the limit.

    Raises:
        UsageError: ``invalid_crash_limit``: no model, or every one, would ever be kept away.
    """
    if not 1 <= count <= MOST_CRASHES:
        raise UsageError(
            "invalid_crash_limit", f"a crash limit of {count} is not one of 1 to {MOST_CRASHES}; the default is 3"
        )
    return count
