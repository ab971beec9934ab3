"""A place where power or energy can be read: plain data that travels to the sampler, and its reader.

Standard library only: the sampler process imports this.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import isfinite

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import NumberFile, SourceError
from steelyard_agent.readings import HIGHEST_POWER_W, Kind, Reading, Scope, Status, unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSource:
    """Files whose product, times ``scale``, is joules (kind COUNTER) or watts (kind SAMPLED).

    ``name`` is the reading's name, ``detail`` names driver, label and shunt; ``range_max_counts`` is the last raw value
    of a counter before it starts again at 0; ``resolution`` is in the unit, None when it is not known; ``caution`` is
    what a reader must know before trusting the value.
    """

    name: str
    kind: Kind
    scope: Scope
    files: tuple[str, ...]
    scale: float
    detail: str
    range_max_counts: int | None = None
    resolution: float | None = None
    caution: str = ""

    def __post_init__(self) -> None:
        """Refuse a source that cannot be read."""
        if not self.files:
            raise ValueError(f"power source {self.name!r} has no file")
        if not (isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"power source {self.name!r}: scale {self.scale!r} is not positive")
        if self.kind is Kind.COUNTER and (self.range_max_counts is None or self.range_max_counts <= 0):
            raise ValueError(f"power source {self.name!r}: counter without a range ({self.range_max_counts!r})")

    @property
    def unit(self) -> str:
        """Return "J" for a counter and "W" for sampled power."""
        return "J" if self.kind is Kind.COUNTER else "W"

    @property
    def description(self) -> str:
        """Return the file and what it is, for ``Reading.source``."""
        return f"{self.files[0]} ({self.detail})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSources:
    """What a search found: sources that answered, and an unavailable reading for each that did not."""

    sources: tuple[PowerSource, ...] = ()
    missing: tuple[Reading, ...] = ()


class SourceReader:
    """Reads one source; keeps descriptors. Not thread-safe."""

    def __init__(self, system: System, source: PowerSource) -> None:
        self.source = source
        self._files = [NumberFile(system, file) for file in source.files]

    def read_raw(self) -> int:
        """Return the product of the source's files, to be multiplied by ``scale``.

        Raises:
            SourceError: a file gives no value, or an absurd one.
        """
        raw = 1
        for file in self._files:
            raw *= file.read()
        _refuse_absurd(self.source, raw)
        return raw

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files:
            file.close()


def read_source(reader: SourceReader) -> Reading:
    """Read a source once, as a reading; never raises."""
    source = reader.source
    try:
        value = reader.read_raw() * source.scale
    except SourceError as error:
        return missing_reading(source, str(error))
    return Reading(
        name=source.name,
        value=value,
        status=Status.MEASURED,
        reason=source.caution,
        source=source.description,
        scope=source.scope,
        unit=source.unit,
        kind=source.kind,
        resolution=source.resolution,
    )


def missing_reading(source: PowerSource, reason: str) -> Reading:
    """Return the unavailable reading of a source that gave no value."""
    return unavailable(
        source.name,
        reason=reason,
        source=source.description,
        scope=source.scope,
        unit=source.unit,
        kind=source.kind,
    )


def source_to_json(source: PowerSource) -> dict[str, object]:
    """Return the source as JSON values; ``source_from_json`` takes them back."""
    return {**asdict(source), "kind": source.kind.value, "scope": source.scope.value, "files": list(source.files)}


def source_from_json(record: dict[str, object]) -> PowerSource:
    """Return the source of a record made by ``source_to_json``.

    Raises:
        ValueError: a key is unknown or missing, or a value makes no sense.
    """
    unknown = set(record) ^ {field.name for field in fields(PowerSource)}
    if unknown:
        raise ValueError(f"power source record: keys {sorted(unknown)} are unknown or missing")
    values = dict(record)
    files = values.pop("files")
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise ValueError(f"power source record: files {files!r} is not a list of paths")
    kind, scope = Kind(values.pop("kind")), Scope(values.pop("scope"))
    return PowerSource(kind=kind, scope=scope, files=tuple(files), **values)  # type: ignore[arg-type]


def _refuse_absurd(source: PowerSource, raw: int) -> None:
    file = source.files[0]
    if source.kind is Kind.COUNTER:
        range_max = source.range_max_counts
        if raw < 0 or (range_max is not None and raw > range_max):
            raise SourceError("absurd", f"{file} says {raw}, which is outside its own range of 0 to {range_max}")
        return
    value_w = raw * source.scale
    if not 0 <= value_w <= HIGHEST_POWER_W:
        raise SourceError("absurd", f"{file} says {value_w:g} W, which is outside 0 to {HIGHEST_POWER_W:g} W")
