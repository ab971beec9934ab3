"""Scores of files of one model, and by how much one is worse than another on the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.stats.accuracy import paired_drop
from steelyard.stats.bootstrap import paired_bootstrap_drop
from steelyard.stats.estimate import Estimate
from steelyard.tasks.metrics.contract import Answers, BinaryAnswers, Metric

# Of the bootstrap: enough for the second digit of an interval, and detection takes long a resample.
RESAMPLE_COUNT = 1000
ORIGINAL = "original"


def worse_by(metric: Metric, reference: Answers, candidate: Answers) -> Estimate:
    """Return by how much the candidate scores worse, above 0 is worse; in percentage points for fractions."""
    if isinstance(reference, BinaryAnswers) and isinstance(candidate, BinaryAnswers):
        return paired_drop(reference.correct, candidate.correct)
    return paired_bootstrap_drop(
        reference,
        candidate,
        higher_is_better=metric.higher_is_better,
        unit=metric.unit,
        resample_count=RESAMPLE_COUNT,
    )


def scores(metric: Metric, answers: Mapping[str, Answers], ours: frozenset[str]) -> dict[str, Any]:
    """Return what each file scores, what it loses beside the original, and ours beside every peer's.

    ``answers`` are by quantizer, those of the model itself under ``ORIGINAL``. A difference is ``[value, low, high]``,
    with None for what has no interval.
    """
    peers = [name for name in answers if name not in ours and name != ORIGINAL]
    original = answers[ORIGINAL]
    return {
        "metric": metric.kind,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "evaluation_count": original.sample_count,
        "scores": {name: one.value() for name, one in answers.items()},
        "losses": {
            name: _triple(worse_by(metric, original, one))
            for name, one in answers.items()
            if name != ORIGINAL and not metric.needs_parent_outputs
        },
        "beside_peers": {
            own: {peer: _triple(worse_by(metric, answers[peer], answers[own])) for peer in peers}
            for own in answers
            if own in ours
        },
    }


def best_of(found: Mapping[str, float | None], names: Mapping[str, Any], *, higher_is_better: bool) -> str | None:
    """Return the name among ``names`` with the best score, the first of equal ones; None when none has a score."""
    scored = [(name, score) for name, score in found.items() if name in names and score is not None]
    if not scored:
        return None
    sign = 1.0 if higher_is_better else -1.0
    return max(scored, key=lambda pair: sign * pair[1])[0]


def _triple(estimate: Estimate) -> list[float | None]:
    return [estimate.value, estimate.low, estimate.high]
