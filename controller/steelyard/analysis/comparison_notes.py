"""What a comparison says beside its verdict, for people."""

from __future__ import annotations

from steelyard.stats.comparison import Comparison
from steelyard.stats.formatting import format_value


def comparison_notes(comparison: Comparison, figure: str) -> list[str]:
    """Return the verdict with its figures and what so many rounds would have shown; then what contradicts it.

    ``figure`` is what was compared; "p50" goes without saying.
    """
    by = "" if figure == "p50" else f"by {figure}, "
    effect = comparison.detectable_effect.value
    shown = "" if effect is None else f"; would have shown a change of {format_value(effect, 'fraction')}"
    return [by + comparison.because + shown, *filter(None, [comparison.contradiction])]
