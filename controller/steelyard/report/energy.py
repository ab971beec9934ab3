"""Energy as people see it: a table a source, gross and net and mean power of each variant, with its scope and idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard.analysis.energy_choice import energy_readings
from steelyard.analysis.energy_names import (
    ENERGY_NAME,
    IDLE_NAME,
    NET_NAME,
    POWER_NAME,
    UNCERTAINTY_SUFFIX,
    low_confidence,
)
from steelyard.report.figures import Figure, figure, is_known, one_line
from steelyard.stats.energy import NOT_DISTINGUISHABLE
from steelyard_protocol.v1 import common_pb2, measurement_pb2

_PLACES = {
    common_pb2.READING_SCOPE_WALL: "at the wall",
    common_pb2.READING_SCOPE_BOARD_INPUT: "at the board input",
    common_pb2.READING_SCOPE_SOC: "of the SoC",
    common_pb2.READING_SCOPE_MODULE: "of the module",
    common_pb2.READING_SCOPE_BOARD_RAILS: "of the board's rails",
    common_pb2.READING_SCOPE_BATTERY: "from the battery",
    common_pb2.READING_SCOPE_GPU_BOARD: "of the GPU's board",
    common_pb2.READING_SCOPE_SYSTEM: "of the system",
    common_pb2.READING_SCOPE_PROCESS: "of the process",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantEnergy:
    """The estimates of one variant at one source; ``low_confidence`` says what they lack, "" for nothing."""

    label: str
    gross: measurement_pb2.Estimate
    net: measurement_pb2.Estimate
    mean_power: measurement_pb2.Estimate
    low_confidence: str = ""

    @property
    def above_idle_j(self) -> float | None:
        """Return what is told apart from idle, 0 for nothing, None where no baseline says."""
        if not is_known(self.net):
            return None
        return 0.0 if self.net.reason == NOT_DISTINGUISHABLE else max(0.0, self.net.value)

    @property
    def shown(self) -> Figure:
        """Return the gross energy for people; with a value, its reason says which confidence it lacks."""
        shown = figure(self.gross)
        return replace(shown, reason=self.low_confidence or ("" if shown.interval else shown.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """All variants at one source. ``source`` is "" for one that never answered; ``scope`` the wire's."""

    source: str
    scope: common_pb2.ReadingScope.ValueType
    idle: measurement_pb2.Estimate
    rows: tuple[VariantEnergy, ...]

    @property
    def title(self) -> str:
        """Return "energy at the wall, by Shelly switch 0 at http://192.168.1.20"."""
        place = _PLACES.get(self.scope)
        return f"energy {place}, by {self.source}" if place else f"energy by {self.source}"

    @property
    def name(self) -> str:
        """Return "Shelly switch 0 at http://192.168.1.20 (wall)"."""
        place = _PLACES.get(self.scope)
        return f"{self.source} ({place.split(' ', 2)[-1]})" if place else self.source

    @property
    def where(self) -> str:
        """Return "at the wall", "by tasmota:http://192.168.1.30" for a meter that never answered."""
        return _PLACES.get(self.scope) or f"by {self.source}"

    @property
    def idle_text(self) -> str:
        """Return "idle: 2.01 W (1.99 to 2.03)", "" where there is no idle power."""
        return f"idle: {one_line(self.idle)}" if is_known(self.idle) else ""

    @property
    def has_net(self) -> bool:
        """Whether an idle baseline was measured, so that net energy is a question."""
        return is_known(self.idle) or any(is_known(row.net) for row in self.rows)


def device_tables(
    measurement: measurement_pb2.Measurement, variants: Sequence[measurement_pb2.VariantMeasurement]
) -> tuple[EnergyTable, ...]:
    """Return what the device's own sensors say, a table for each that stands for a model; none where nothing was read.

    Variants that ran elsewhere, one on a GPU and one beside it, are of different sensors. Those without a figure stand
    in the first table.
    """
    chosen = {one.label: _chosen(one) for one in variants if is_known(one.energy)}
    sources = list(dict.fromkeys((reading.source, reading.scope) for reading in chosen.values()))
    tables = []
    for number, (source, scope) in enumerate(sources):
        mine = [one for one in variants if (chosen[one.label].source == source if one.label in chosen else number == 0)]
        rows = tuple(
            VariantEnergy(
                label=one.label,
                gross=one.energy,
                net=one.net_energy,
                mean_power=one.mean_power,
                low_confidence=_lacking(one.energy_readings, source),
            )
            for one in mine
        )
        # The idle power that a measurement states is of its first model's source.
        idle = measurement.idle_power if number == 0 else measurement_pb2.Estimate(unit="W")
        tables.append(EnergyTable(source=source, scope=scope, idle=idle, rows=rows))
    return tuple(tables)


def external_tables(variants: Sequence[measurement_pb2.VariantMeasurement]) -> tuple[EnergyTable, ...]:
    """Return a table a meter that the controller read, in the order in which they were named."""
    if not variants:
        return ()
    readings = [_by_meter(one.external_energy_readings) for one in variants]
    return tuple(_external_table(variants, [one[index] for one in readings]) for index in range(len(readings[0])))


def energy_tables(measurement: measurement_pb2.Measurement) -> tuple[EnergyTable, ...]:
    """Return the tables of all sources that told something, the device's own first."""
    tables = (*device_tables(measurement, measurement.variants), *external_tables(measurement.variants))
    return tuple(one for one in tables if any(is_known(row.gross) for row in one.rows))


def _chosen(variant: measurement_pb2.VariantMeasurement) -> common_pb2.Reading:
    known = (one for one in energy_readings(variant.energy_readings, variant.providers) if one.HasField("value"))
    return next(known, common_pb2.Reading(source="a sensor that the device did not name"))


def _is_energy(reading: common_pb2.Reading) -> bool:
    return reading.name == ENERGY_NAME and reading.HasField("value")


def _by_meter(readings: Sequence[common_pb2.Reading]) -> list[list[common_pb2.Reading]]:
    """Return the readings of each meter: those of the next one begin with its energy."""
    meters: list[list[common_pb2.Reading]] = []
    for reading in readings:
        if reading.name == ENERGY_NAME:
            meters.append([])
        if meters:
            meters[-1].append(reading)
    return meters


def _external_table(
    variants: Sequence[measurement_pb2.VariantMeasurement], readings: Sequence[Sequence[common_pb2.Reading]]
) -> EnergyTable:
    rows = tuple(
        VariantEnergy(
            label=one.label,
            gross=_estimate(mine, ENERGY_NAME),
            net=_estimate(mine, NET_NAME),
            mean_power=_estimate(mine, POWER_NAME),
            low_confidence=_lacking(mine, mine[0].source),
        )
        for one, mine in zip(variants, readings, strict=True)
    )
    told = next((mine for mine in readings if _is_energy(mine[0])), readings[0])
    idle = next((found for mine in readings if is_known(found := _estimate(mine, IDLE_NAME))), None)
    return EnergyTable(
        source=told[0].source, scope=told[0].scope, idle=idle or measurement_pb2.Estimate(unit="W"), rows=rows
    )


def _estimate(readings: Sequence[common_pb2.Reading], name: str) -> measurement_pb2.Estimate:
    """Return a reading with the uncertainty that follows it (k = 2) as an estimate."""
    found = {one.name: one for one in readings}
    reading = found.get(name)
    if reading is None:
        return measurement_pb2.Estimate(reason="no idle baseline was measured (--idle-window)")
    estimate = measurement_pb2.Estimate(unit=reading.unit, reason=reading.reason)
    if reading.HasField("value"):
        estimate.value = reading.value
        uncertainty = found.get(name + UNCERTAINTY_SUFFIX)
        if uncertainty is not None:
            estimate.low, estimate.high = reading.value - uncertainty.value, reading.value + uncertainty.value
    return estimate


def _lacking(readings: Sequence[common_pb2.Reading], source: str) -> str:
    reasons = (one.reason for one in readings if _is_energy(one) and one.source == source)
    return low_confidence(reasons).replace("_", " ", 1)
