"""A place where power or energy can be read: plain data that travels to the sampler, and its reader.

Standard library only: the sampler process imports this.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import isfinite

from steelyard_agent.meters.access.registry import ACCESS_NAMES, open_access, runs_program
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError
from steelyard_agent.readings import HIGHEST_POWER_W, Kind, Reading, Scope, Status, unavailable

# A rail at rest may read so many steps below 0: the offset of an INA3221 is 80 uV, of steps of 40 uV (TI SBOS576).
# Leaving these samples out, and keeping those as far above, would raise the mean.
_OFFSET_STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSource:
    """Where a raw value is read that, times ``scale``, is joules (kind COUNTER) or watts (kind SAMPLED).

    ``access`` names the file of ``meters/access`` that reads it, ``addresses`` is what that file is given: paths, the
    words of a command, a GPU. ``name`` is the reading's name, ``detail`` names driver, label and shunt, ``place`` what
    people are shown instead of the first address. ``range_max_counts`` is the last raw value of a counter before it
    starts again at 0; ``resolution`` is in the unit, None when it is not known; ``caution`` is what a reader must know
    before trusting the value.

    ``averaging_s`` is over how long before each value the sensor averages (0.0: not known to); ``update_period_s`` how
    often the value is renewed, None when that is not known; ``least_period_s`` how often it may be read at most.
    """

    name: str
    kind: Kind
    scope: Scope
    addresses: tuple[str, ...]
    scale: float
    detail: str
    access: str = "files"
    place: str = ""
    range_max_counts: int | None = None
    resolution: float | None = None
    caution: str = ""
    averaging_s: float = 0.0
    update_period_s: float | None = None
    least_period_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a source that cannot be read."""
        if not self.addresses:
            raise ValueError(f"power source {self.name!r} has no address")
        if self.access not in ACCESS_NAMES:
            raise ValueError(f"power source {self.name!r}: there is no access {self.access!r}")
        if not (isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"power source {self.name!r}: scale {self.scale!r} is not positive")
        if self.kind is Kind.COUNTER and (self.range_max_counts is None or self.range_max_counts <= 0):
            raise ValueError(f"power source {self.name!r}: counter without a range ({self.range_max_counts!r})")
        if not (0 <= self.averaging_s <= 60 and 0 <= self.least_period_s <= 60):
            times = f"averaging {self.averaging_s!r} s, least period {self.least_period_s!r} s"
            raise ValueError(f"power source {self.name!r}: {times} are outside 0 to 60")
        if self.update_period_s is not None and not 0 < self.update_period_s <= 60:
            raise ValueError(f"power source {self.name!r}: update period {self.update_period_s!r} s is outside 0 to 60")

    @property
    def unit(self) -> str:
        """Return "J" for a counter and "W" for sampled power."""
        return "J" if self.kind is Kind.COUNTER else "W"

    @property
    def description(self) -> str:
        """Return the place and what it is, for ``Reading.source``."""
        return f"{self.place or self.addresses[0]} ({self.detail})"

    @property
    def rate_hz(self) -> float | None:
        """Return how often the value is renewed, None when that is not known."""
        return None if self.update_period_s is None else 1 / self.update_period_s

    @property
    def runs_program(self) -> bool:
        """Return whether a read starts a program, and so takes long."""
        return runs_program(self.access)

    def sampling_period_ns(self, wanted_ns: int) -> int:
        """Return the period at which this source is sampled when ``wanted_ns`` is asked for."""
        return max(wanted_ns, round(self.least_period_s * 1e9))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSources:
    """What a search found: sources that answered, and an unavailable reading for each that did not.

    ``looked_at`` names the places where it looked, with what was seen there that is no source.
    """

    sources: tuple[PowerSource, ...] = ()
    missing: tuple[Reading, ...] = ()
    looked_at: tuple[str, ...] = ()


class SourceReader:
    """Reads one source; keeps what its access keeps. Not thread-safe."""

    def __init__(self, system: System, source: PowerSource) -> None:
        self.source = source
        self._access = open_access(system, source.access, source.addresses)

    def read_raw(self) -> int:
        """Return the raw value, to be multiplied by ``scale``.

        Raises:
            SourceError: there is no value, or an absurd one.
        """
        raw = self._access.read()
        _refuse_absurd(self.source, raw)
        return raw

    def close(self) -> None:
        """Give back what was opened."""
        self._access.close()


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
        rate_hz=source.rate_hz,
    )


def sort_answering(system: System, candidates: list[PowerSource]) -> FoundSources:
    """Read each candidate once: those that answer are sources, the others are missing with their reason."""
    sources, missing = [], []
    for source in candidates:
        failure = why_silent(system, source)
        if failure is None:
            sources.append(source)
        else:
            missing.append(missing_reading(source, str(failure)))
    return FoundSources(sources=tuple(sources), missing=tuple(missing))


def why_silent(system: System, source: PowerSource) -> SourceError | None:
    """Return why a source gives no value now, None when it does."""
    reader = SourceReader(system, source)
    try:
        reader.read_raw()
    except SourceError as error:
        return error
    finally:
        reader.close()
    return None


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
    told = {"kind": source.kind.value, "scope": source.scope.value, "addresses": list(source.addresses)}
    return {**asdict(source), **told}


def source_from_json(record: dict[str, object]) -> PowerSource:
    """Return the source of a record made by ``source_to_json``.

    Raises:
        ValueError: a key is unknown or missing, or a value makes no sense.
    """
    unknown = set(record) ^ {field.name for field in fields(PowerSource)}
    if unknown:
        raise ValueError(f"power source record: keys {sorted(unknown)} are unknown or missing")
    values = dict(record)
    addresses = values.pop("addresses")
    if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
        raise ValueError(f"power source record: addresses {addresses!r} is not a list of texts")
    kind, scope = Kind(values.pop("kind")), Scope(values.pop("scope"))
    return PowerSource(kind=kind, scope=scope, addresses=tuple(addresses), **values)  # type: ignore[arg-type]


def _refuse_absurd(source: PowerSource, raw: int) -> None:
    place = source.place or source.addresses[0]
    if source.kind is Kind.COUNTER:
        range_max = source.range_max_counts
        if raw < 0 or (range_max is not None and raw > range_max):
            raise SourceError("absurd", f"{place} says {raw}, which is outside its own range of 0 to {range_max}")
        return
    value_w = raw * source.scale
    least_w = 0.0 - _OFFSET_STEPS * (source.resolution or 0.0)
    if not least_w <= value_w <= HIGHEST_POWER_W:
        said = f"{value_w:g} W, which is outside {least_w:g} to {HIGHEST_POWER_W:g} W"
        raise SourceError("absurd", f"{place} says {said}")
