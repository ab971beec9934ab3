"""Does a suspicion last? The nights after the one that raised it, against those before it."""

from __future__ import annotations

import numpy as np

from steelyard.series.early_warning import LEAST_DEVIATION, LONGEST_PAST
from steelyard.series.history import History, normalised_logs
from steelyard.series.localisation import MOST_P, split_p_values
from steelyard.series.metric_rules import MetricRule

# With fewer nights after the first, one mode of the device or one neighbour's job is all of them.
LEAST_LATER_NIGHTS = 2
# Of the later nights, as of a located change; of a candidate's night alone. Calibrated: of quiet series fewer than one
# night in 2,000 has either (docs/decisions/0029-suspicions-that-last.md).
LASTING_P, CERTAIN_P = MOST_P, 1e-10


def is_beyond_noise(night_p: float, later_p: float | None) -> bool:
    """Say whether a suspicion that nothing explains is more than the noise of nights.

    Args:
        night_p: Of the candidate's night (``Candidate.p_value``).
        later_p: Of the nights after the first (``lasting_p``), None where there are too few.
    """
    return night_p < CERTAIN_P or (later_p is not None and later_p < LASTING_P)


def lasting_p(history: History, rule: MetricRule, *, first_bad: int, opened: int) -> float | None:
    """Return how unlikely the later nights of a suspicion are if nothing changed, None with fewer than two of them.

    Student's t, one-sided, between the logs of the nights after ``opened`` and of up to 28 before ``first_bad``. The
    night that raised the suspicion is on neither side: it was chosen for being slow. Nights resemble their neighbours,
    so that this is no error rate as it stands; what it takes to count is measured in simulated fleets without a change
    (docs/decisions/0029-suspicions-that-last.md).

    Args:
        history: Of a metric with noise, up to tonight, the nights of the suspicion among them.
        rule: Of the metric.
        first_bad: The first night of the suspicion's level; before it everything was good.
        opened: The night that raised the suspicion.
    """
    recent = history.recent()
    logs = normalised_logs(recent, rule)
    known = np.isfinite(logs)
    before = logs[known & (recent.nights < first_bad)][-LONGEST_PAST:]
    later = logs[known & (recent.nights > opened)]
    if later.size < LEAST_LATER_NIGHTS or before.size < LEAST_LATER_NIGHTS:
        return None
    if (np.mean(later) - np.mean(before)) * rule.worse_sign <= 0.0:
        return 1.0
    both = np.concatenate([before, later])
    # No series is quieter than that: equal nights prove nothing by being equal.
    return float(split_p_values(both[None], before.size, least_deviation=LEAST_DEVIATION)[0]) / 2.0
