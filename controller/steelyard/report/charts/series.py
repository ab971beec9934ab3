"""What tells the variants apart on every plot of a report: one colour, one marker and one label each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.report.figures import failed
from steelyard.report.labels import short_labels
from steelyard_protocol.v1 import measurement_pb2

# Variables of the page's style sheet; the reference has a colour of its own.
_COLOUR_COUNT = 7
_LABEL_LENGTH = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A variant on the plots. ``label`` is cut to fit; ``is_chosen`` marks the one that the decision names."""

    variant: measurement_pb2.VariantMeasurement
    label: str
    colour: str
    shape: int
    is_chosen: bool

    @property
    def label_kind(self) -> str:
        """The style of the label."""
        return "label chosen" if self.is_chosen else "label"


def make_series(measurement: measurement_pb2.Measurement) -> tuple[Series, ...]:
    """Return the variants that ran, in their order, each with its colour and marker."""
    ran = [variant for variant in measurement.variants if not failed(variant)]
    labels = short_labels([variant.label for variant in ran], _LABEL_LENGTH)
    return tuple(
        Series(
            variant=variant,
            label=label,
            colour=f"var(--v{_colour_number(ran, index)})",
            shape=0 if variant.is_reference else 1 + index,
            is_chosen=bool(variant.label) and variant.label == measurement.decision.label,
        )
        for index, (variant, label) in enumerate(zip(ran, labels, strict=True))
    )


def _colour_number(ran: Sequence[measurement_pb2.VariantMeasurement], index: int) -> int:
    if ran[index].is_reference:
        return 0
    others_before = sum(not variant.is_reference for variant in ran[:index])
    return 1 + others_before % _COLOUR_COUNT
