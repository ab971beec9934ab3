"""The figures beside the decision: what the variant that it names brings, next to the original."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.report.figures import comparison_text, failed, figure, is_known, one_line
from steelyard.report.labels import short_labels
from steelyard.report.mode_words import primary_estimate
from steelyard.report.score_words import score_name
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure in large type; below it, a line each, its interval and what it stands next to."""

    name: str
    value: str
    details: tuple[str, ...]


def make_tiles(measurement: measurement_pb2.Measurement) -> tuple[Tile, ...]:
    """Return the tiles of the variant that the decision names; none when it names none that ran."""
    ran = [variant for variant in measurement.variants if not failed(variant)]
    chosen = next((one for one in ran if one.label and one.label == measurement.decision.label), None)
    if chosen is None:
        return ()
    reference = next((one for one in ran if one.is_reference and one is not chosen), None)
    tiles = [
        _speedup(chosen),
        _primary(chosen, reference, measurement),
        _accuracy(chosen, score_name(measurement)),
        _size(chosen, reference),
    ]
    if is_known(chosen.peak_memory):
        tiles.append(_tile("peak memory", chosen.peak_memory, "over the runtime"))
    if is_known(chosen.energy):
        tiles.append(_tile("energy", chosen.energy, "an inference"))
    return tuple(tile for tile in tiles if tile is not None)


def _speedup(chosen: measurement_pb2.VariantMeasurement) -> Tile | None:
    if chosen.is_reference or not is_known(chosen.speedup):
        return None
    return _tile("speed-up", chosen.speedup, comparison_text(chosen))


def _primary(
    chosen: measurement_pb2.VariantMeasurement,
    reference: measurement_pb2.VariantMeasurement | None,
    measurement: measurement_pb2.Measurement,
) -> Tile | None:
    mine = primary_estimate(chosen, measurement.plan)
    if not is_known(mine):
        return None
    name = measurement.primary_figure or "p50"
    beside = ""
    if reference is not None:
        beside = f"{_short(reference)} {figure(primary_estimate(reference, measurement.plan)).value}"
    return _tile("p50 latency" if name == "p50" else name, mine, beside)


def _accuracy(chosen: measurement_pb2.VariantMeasurement, name: str) -> Tile:
    beside = f"drop {one_line(chosen.accuracy_drop)}" if is_known(chosen.accuracy_drop) else ""
    if not is_known(chosen.accuracy):
        beside = figure(chosen.accuracy).reason
    return _tile(name, chosen.accuracy, beside)


def _size(chosen: measurement_pb2.VariantMeasurement, reference: measurement_pb2.VariantMeasurement | None) -> Tile:
    details: tuple[str, ...] = ()
    if reference is not None and reference.size_bytes > 0:
        details = (f"{100 * chosen.size_bytes / reference.size_bytes:.3g} % of {_short(reference)}",)
    return Tile(name="file size", value=format_value(chosen.size_bytes, "B"), details=details)


def _short(variant: measurement_pb2.VariantMeasurement) -> str:
    return short_labels([variant.label], 16)[0]


def _tile(name: str, estimate: measurement_pb2.Estimate, beside: str) -> Tile:
    shown = figure(estimate)
    return Tile(name=name, value=shown.value, details=tuple(part for part in (shown.interval, beside) if part))
