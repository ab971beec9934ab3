"""How far back in the nights to look for the last of something. Nights are named one by one, never as a range.

Points lie night by night (``nightly_schema``): for one series, a range of nights is a read of all series in them.
"""

from __future__ import annotations

from collections.abc import Iterator


def beginnings(first_night: int, end: int, count: int) -> Iterator[int]:
    """Yield nights to begin at, each time twice as far before ``end``: of the nearest nights some may be gaps.

    The first one leaves ``count`` nights, the last one is ``first_night``; at least one is yielded.
    """
    while end - count + 1 > first_night:
        yield end - count + 1
        count *= 2
    yield min(first_night, end + 1)
