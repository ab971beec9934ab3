"""What tells the variants apart on every plot of a report: one colour, one marker and one label each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from steelyard.report.figures import failed
from steelyard.report.labels import short_labels
from steelyard.report.mode_words import primary_time, time_words
from steelyard.report.score_words import score_of
from steelyard.stats.task_metric import TaskMetric
from steelyard_protocol.v1 import measurement_pb2

# Variables of the page's style sheet; the reference has a colour of its own.
COLOUR_COUNT = 7
# Two variants of one colour have different markers: 7 and 4 share no factor.
_SHAPE_COUNT = 4
_LABEL_LENGTH = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A variant on the plots. ``label`` is cut to fit; ``is_chosen`` marks the one that the decision names.

    ``time`` (ns) is the figure that the variants are compared by, and ``time_words`` what an axis calls it;
    ``score`` is what the task measures.
    """

    variant: measurement_pb2.VariantMeasurement
    label: str
    colour: str
    shape: int
    is_chosen: bool
    time: measurement_pb2.Estimate
    time_words: str
    score: TaskMetric

    @property
    def label_kind(self) -> str:
        """The style of the label."""
        return "label chosen" if self.is_chosen else "label"


def make_series(measurement: measurement_pb2.Measurement) -> tuple[Series, ...]:
    """Return the variants that ran, in their order, each with its colour and marker."""
    ran = [variant for variant in measurement.variants if not failed(variant)]
    labels = short_labels([variant.label for variant in ran], _LABEL_LENGTH)
    # The reference counts for nothing, wherever it stands: the others get the first colours.
    numbers = itertools.accumulate(not variant.is_reference for variant in ran)
    return tuple(
        Series(
            variant=variant,
            label=label,
            colour="var(--v0)" if variant.is_reference else f"var(--v{1 + (index - 1) % COLOUR_COUNT})",
            shape=0 if variant.is_reference else 1 + (index - 1) % _SHAPE_COUNT,
            is_chosen=bool(variant.label) and variant.label == measurement.decision.label,
            time=primary_time(variant, measurement.plan),
            time_words=time_words(measurement),
            score=score_of(measurement),
        )
        for index, variant, label in zip(numbers, ran, labels, strict=True)
    )
