"""Whether a regression is worse than one that is known already."""

from __future__ import annotations

import math

from steelyard.nightly.night_findings import Finding, Ratio


def is_worse_than(now: Finding, known: Finding | None) -> bool:
    """Say whether a confirmed finding lies beyond one that was confirmed before, in the same direction.

    Beyond both intervals: two confirmations of one regression differ by their noise. The two are compared as if both
    were against the same reference, which is so while nothing was accepted in between. Of exact metrics any other value
    is another change.
    """
    if known is None:
        return True
    if (now.text_before, now.text_after) != (known.text_before, known.text_after):
        return True
    if now.ratio is None or known.ratio is None:
        return now.after != known.after
    low, high = _ends(now.ratio)
    known_low, known_high = _ends(known.ratio)
    if _size(now.ratio) * _size(known.ratio) < 0.0:
        # Exact metrics of which neither value is the better one: the other way is another change.
        return True
    return low > known_high if _size(now.ratio) > 0.0 else high < known_low


def _ends(ratio: Ratio) -> tuple[float, float]:
    low = ratio.value if ratio.low is None else ratio.low
    high = ratio.value if ratio.high is None else ratio.high
    return low, high


def _size(ratio: Ratio) -> float:
    """Return 0 for no change, above 0 for more, below for less."""
    if ratio.unit == "pp":
        return ratio.value
    return math.log(ratio.value) if ratio.value > 0.0 else -math.inf
