"""How long a job may stay in one state: then it ends, with the state that it was in as its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from steelyard.durations import parse_duration
from steelyard.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLimits:
    """Seconds; in ``queued`` and ``gating`` since the state was entered, elsewhere since anything was last told.

    A day in the queue lets a nightly run pass; staging counts from the last 4 MiB (0.02 Mbit/s are enough); what runs
    is silent for a whole evaluation at worst, which takes hours on a small board. A device that hangs is noticed by its
    link long before.
    """

    queued_s: float = 24 * 3600.0
    leased_s: float = 600.0
    staging_s: float = 1800.0
    gating_s: float = 2 * 3600.0
    running_s: float = 12 * 3600.0
    uploading_s: float = 3600.0

    def __post_init__(self) -> None:
        """Refuse a limit that ends every job at once."""
        for name in fields(self):
            if not getattr(self, name.name) > 0:
                raise UsageError(
                    "invalid_state_limit", f"a limit {name.name} of {getattr(self, name.name)!r} s ends every job"
                )


def parse_state_limits(said: Mapping[str, object]) -> StateLimits:
    """Return the limits of a table such as ``{"queued": "12h", "staging": "10m"}``; the others keep their defaults.

    Raises:
        UsageError: ``invalid_state_limit``: an unknown state, or no duration.
    """
    known = {field.name.removesuffix("_s"): field.name for field in fields(StateLimits)}
    limits: dict[str, float] = {}
    for state, text in said.items():
        if state not in known:
            raise UsageError(
                "invalid_state_limit", f"{state!r} is no state with a limit; these have one: {', '.join(known)}"
            )
        try:
            limits[known[state]] = parse_duration(str(text))
        except ValueError as error:
            raise UsageError("invalid_state_limit", f"the limit of {state}: {error}") from error
    return StateLimits(**limits)


def split_state_limits(text: str) -> dict[str, object]:
    """Return the table that ``queued=12h,staging=10m`` says.

    Raises:
        UsageError: ``invalid_state_limit``.
    """
    table: dict[str, object] = {}
    for one in text.split(","):
        state, equals, limit = (part.strip() for part in one.partition("="))
        if not equals:
            raise UsageError("invalid_state_limit", f"{one!r} is not STATE=TIME, as in queued=12h,staging=10m")
        table[state] = limit
    return table
