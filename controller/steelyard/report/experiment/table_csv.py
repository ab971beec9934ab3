"""The figures of an experiment as CSV: one row a figure of a training."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from steelyard.experiments.findings import SeedFigure

_HEAD = ("recipe", "seed", "artifact_digest", "metric", "device", "unit", "value", "low", "high", "variance", "reason")


def figures_csv(figures: Sequence[SeedFigure]) -> str:
    """Return the table; unknown is empty, and ``device`` is empty for the controller."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(_HEAD)
    for one in figures:
        metric = (one.metric.name, one.metric.device, one.metric.unit)
        writer.writerow(
            (one.recipe, one.seed, one.digest, *metric, one.value, one.low, one.high, one.variance, one.reason)
        )
    return target.getvalue()
