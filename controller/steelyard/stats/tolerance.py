"""How much worse a variant may score when nobody said it."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.stats.estimate import Estimate
from steelyard.stats.formatting import format_value
from steelyard.stats.task_metric import TaskMetric

DEFAULT_TOLERANCE_PP = 1.0
# Of the original's score, for metrics that are no fraction.
_DEFAULT_SHARE = 0.01
# Ratios on a logarithmic scale have no zero that a share could be of.
_WITHOUT_ZERO = frozenset({"dB"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The drop that is still accepted, in the unit of drops; ``words`` say it in sentences: "1 pp".

    ``limit`` is None where no bound can be taken for granted; ``reason`` says why, and what to do.
    """

    limit: float | None
    words: str
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a bound that is none, and silence about a missing one."""
        if self.limit is None and not self.reason:
            raise ValueError("where no drop is accepted unasked, a reason says why")
        if self.limit is not None and not self.limit > 0.0:
            raise ValueError(f"a tolerance is above 0, not {self.limit!r}")


def percentage_points(limit: float = DEFAULT_TOLERANCE_PP) -> Tolerance:
    """Return the tolerance of a fraction."""
    return Tolerance(limit=limit, words=f"{limit:g} pp")


def default_tolerance(metric: TaskMetric, reference: Estimate) -> Tolerance:
    """Return what is accepted unasked: 1 pp of a fraction, 1 % of the original's score of anything else.

    Args:
        metric: What the task scores by.
        reference: The original's score.
    """
    if metric.unit == "fraction":
        return percentage_points()
    if metric.unit in _WITHOUT_ZERO or not reference.value:
        why = f"nothing says which {metric.name} is enough: require it (--require '{metric.example}')"
        return Tolerance(limit=None, words="", reason=why)
    limit = _DEFAULT_SHARE * abs(reference.value)
    return Tolerance(limit=limit, words=f"{format_value(limit, metric.unit)} (1 % of the original's)")
