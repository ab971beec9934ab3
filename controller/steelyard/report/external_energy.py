"""Energy that external meters read, as people see it: each with its scope, none beside that of another scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.report.figures import figure
from steelyard_protocol.v1 import common_pb2, measurement_pb2

_ENERGY = "energy_per_inference"
_UNCERTAINTY = "energy_per_inference_uncertainty"
# The reading's word for machines, which begins the reason of a figure that is there all the same.
_LOW_CONFIDENCE = "low_confidence"
_SCOPES = {
    common_pb2.READING_SCOPE_WALL: "wall",
    common_pb2.READING_SCOPE_BOARD_INPUT: "board input",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalFigure:
    """What one meter says of one variant.

    ``value`` is "3.20 mJ" or "not measured", ``interval`` "3.16 to 3.24" (k = 2); ``reason`` says why there is no
    value, or what its confidence lacks, "" when nothing is to be said. ``scope`` is "" for a meter that never answered.
    """

    source: str
    scope: str
    value: str
    interval: str
    reason: str
    is_known: bool

    @property
    def name(self) -> str:
        """Return "Shelly switch 0 at http://192.168.1.20 (wall)"."""
        return f"{self.source} ({self.scope})" if self.scope else self.source

    @property
    def where(self) -> str:
        """Return "at the wall, by Shelly switch 0 …"."""
        return f"at the {self.scope}, by {self.source}" if self.scope else f"by {self.source}"


def external_figures(variant: measurement_pb2.VariantMeasurement) -> tuple[ExternalFigure, ...]:
    """Return what each external meter says of a variant, in the order in which the meters were named."""
    figures = []
    readings = list(variant.external_energy_readings)
    for index, reading in enumerate(readings):
        if reading.name != _ENERGY:
            continue
        follower = readings[index + 1] if index + 1 < len(readings) else common_pb2.Reading()
        figures.append(_figure(reading, follower if follower.name == _UNCERTAINTY else None))
    return tuple(figures)


def external_meters(variants: Sequence[measurement_pb2.VariantMeasurement]) -> tuple[ExternalFigure, ...]:
    """Return one figure of each meter, for its source and scope: every variant has the same meters."""
    return external_figures(variants[0]) if variants else ()


def _figure(reading: common_pb2.Reading, uncertainty: common_pb2.Reading | None) -> ExternalFigure:
    estimate = measurement_pb2.Estimate(unit=reading.unit, reason=reading.reason)
    if reading.HasField("value"):
        estimate.value = reading.value
        if uncertainty is not None:
            estimate.low, estimate.high = reading.value - uncertainty.value, reading.value + uncertainty.value
    shown = figure(estimate)
    is_weak = reading.reason.startswith(_LOW_CONFIDENCE)
    return ExternalFigure(
        source=reading.source,
        scope=_SCOPES.get(reading.scope, ""),
        value=shown.value,
        interval=shown.interval,
        reason=(reading.reason.replace("_", " ", 1) if is_weak else "") if shown.is_known else shown.reason,
        is_known=shown.is_known,
    )
