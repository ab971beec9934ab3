"""From a sampler's recording to energy per inference, or to the power of a window in which nothing ran. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard_agent.meters.energy import (
    LEAST_WINDOW_S,
    EnergyResult,
    Sample,
    Sensor,
    Window,
    integrate_counter,
    integrate_power,
)
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable
from steelyard_agent.sampler.process import Recording

ENERGY_NAME = "energy_per_inference"
IDLE_NAME = "idle_power"
LOADED_NAME = "loaded_power"
# A figure is followed by a reading of this name.
UNCERTAINTY_SUFFIX = "_uncertainty"
# A shorter idle baseline is of low confidence: a system does something by itself every few seconds.
LEAST_IDLE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What is made of a window's joules: they are divided by ``divisor``.

    ``inference_count`` None: there are none. ``least_s`` is the shortest window beyond what the sensor needs.
    """

    name: str
    unit: str
    divisor: float
    inference_count: int | None = None
    least_s: float = 0.0


_ENERGY = Quantity(name=ENERGY_NAME, unit="J", divisor=1.0)


def energy_reading(
    *,
    window_start_ns: int,
    window_end_ns: int,
    inference_count: int,
    recording: Recording,
    missing: Sequence[Reading] = (),
) -> list[Reading]:
    """Return gross J per inference for each source (idle is not subtracted), each with the scope of its source.

    Window edges are CLOCK_MONOTONIC ns; ``missing`` are the unavailable readings of the search for sources, and each
    of them is an unavailable reading after those of the sources: a rail that answers does not stand for a module that
    does not. Each value is followed by a reading ``energy_per_inference_uncertainty`` (k = 2, systematic part not
    known), where it can be told; its ``resolution`` is the sensor's step, of power over the whole window; a ``reason``
    that begins with "low_confidence" says what the window lacked. Without any source the one reading is unavailable,
    with what was looked at.

    Raises:
        ValueError: the window does not last.
    """
    window = Window(start_ns=window_start_ns, end_ns=window_end_ns)
    if not recording.sources:
        return [_no_sensor(missing)]
    if inference_count <= 0:
        return [_unavailable(source, "no inference finished in the window") for source in recording.sources]
    each = Quantity(name=ENERGY_NAME, unit="J", divisor=inference_count, inference_count=inference_count)
    return _readings(recording, window, each, missing)


def power_reading(
    name: str,
    *,
    window_start_ns: int,
    window_end_ns: int,
    recording: Recording,
    missing: Sequence[Reading] = (),
    least_s: float = 0.0,
) -> list[Reading]:
    """Return the mean power, in W, of a window in which nothing ran, for each source, under ``name``.

    Windows, uncertainties and reasons are as for ``energy_reading``; a window below ``least_s`` is of low confidence.

    Raises:
        ValueError: the window does not last.
    """
    window = Window(start_ns=window_start_ns, end_ns=window_end_ns)
    each = Quantity(name=name, unit="W", divisor=window.duration_s, least_s=least_s)
    return _readings(recording, window, each, missing) if recording.sources else [_no_sensor(missing, each)]


def _readings(recording: Recording, window: Window, each: Quantity, missing: Sequence[Reading]) -> list[Reading]:
    readings = []
    for index in range(len(recording.sources)):
        readings += _source_readings(recording, index, window, each)
    return readings + [replace(one, name=each.name, unit=each.unit) for one in missing]


def _source_readings(recording: Recording, index: int, window: Window, each: Quantity) -> list[Reading]:
    source = recording.sources[index]
    result = _integrate(source, recording.samples[index], window, recording.period_ns, each.inference_count)
    if result.energy_j is None:
        notes = [result.reason, recording.failures[index], recording.note]
        return [_unavailable(source, "; ".join(note for note in notes if note), each)]
    if source.kind is Kind.COUNTER and result.energy_j == 0:
        reason = f"the counter did not move in {window.duration_s:.3g} s; it counts nothing here"
        return [_unavailable(source, reason, each)]
    if result.energy_j <= 0:
        reason = f"the mean power of {result.energy_j / window.duration_s:.3g} W is no more than 0"
        return [_unavailable(source, reason, each)]
    return _measured(source, result, window, each)


def _integrate(
    source: PowerSource, samples: Sequence[Sample], window: Window, period_ns: int, inference_count: int | None
) -> EnergyResult:
    sensor = Sensor(
        averaging_s=source.averaging_s, update_period_s=source.update_period_s, resolution=source.resolution
    )
    if source.kind is Kind.COUNTER:
        assert source.range_max_counts is not None
        return integrate_counter(
            samples,
            range_max=source.range_max_counts,
            window=window,
            joules_per_count=source.scale,
            inference_count=inference_count,
            sensor=sensor,
        )
    watts = [Sample(time_ns=sample.time_ns, value=sample.value * source.scale) for sample in samples]
    return integrate_power(
        watts,
        window=window,
        period_ns=source.sampling_period_ns(period_ns),
        inference_count=inference_count,
        sensor=sensor,
    )


def _measured(source: PowerSource, result: EnergyResult, window: Window, each: Quantity) -> list[Reading]:
    assert result.energy_j is not None
    step_j = source.resolution
    if step_j is not None and source.kind is Kind.SAMPLED:
        step_j *= window.duration_s
    shortfalls = list(result.shortfalls)
    if LEAST_WINDOW_S <= window.duration_s < each.least_s:
        shortfalls.append(f"the window lasted {window.duration_s:.1f} s, less than {each.least_s:g} s")
    low = f"low_confidence: {', '.join(shortfalls)}" if shortfalls else ""
    readings = [
        _reading(
            source,
            each,
            result.energy_j / each.divisor,
            status=Status.MEASURED,
            reason="; ".join(note for note in (low, source.caution) if note),
            resolution=None if step_j is None else step_j / each.divisor,
        )
    ]
    expanded_j = result.uncertainty.expanded_j if result.uncertainty else None
    if expanded_j is not None:
        steps = ", the sensor's steps" if result.uncertainty and result.uncertainty.quantization_j is not None else ""
        reason = f"k = 2, from edges{steps} and the spread over blocks of 1 s; the sensor's own accuracy is not known"
        uncertain = replace(each, name=each.name + UNCERTAINTY_SUFFIX)
        value = expanded_j / each.divisor
        readings.append(_reading(source, uncertain, value, status=Status.ESTIMATED, reason=reason))
    return readings


def _reading(
    source: PowerSource, each: Quantity, value: float, *, status: Status, reason: str, resolution: float | None = None
) -> Reading:
    return Reading(
        name=each.name,
        value=value,
        status=status,
        reason=reason,
        source=source.description,
        scope=source.scope,
        unit=each.unit,
        kind=source.kind,
        resolution=resolution,
        rate_hz=source.rate_hz,
    )


def _unavailable(source: PowerSource, reason: str, each: Quantity = _ENERGY) -> Reading:
    return unavailable(
        each.name, reason=reason, source=source.description, scope=source.scope, unit=each.unit, kind=source.kind
    )


def _no_sensor(missing: Sequence[Reading], each: Quantity = _ENERGY) -> Reading:
    reason = "; ".join(dict.fromkeys(reading.reason for reading in missing)) or "no source of power or energy was given"
    source = missing[0].source if missing else "none"
    kind = Kind.COUNTER if each.unit == "J" else Kind.SAMPLED
    return unavailable(each.name, reason=reason, source=source, scope=Scope.SYSTEM, unit=each.unit, kind=kind)
