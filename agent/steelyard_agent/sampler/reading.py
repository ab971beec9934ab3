"""From a sampler's recording to energy per inference. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steelyard_agent.meters.energy import EnergyResult, Sample, Sensor, Window, integrate_counter, integrate_power
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable
from steelyard_agent.sampler.process import Recording

ENERGY_NAME = "energy_per_inference"
UNCERTAINTY_NAME = "energy_per_inference_uncertainty"


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
    readings = []
    for index in range(len(recording.sources)):
        readings += _source_readings(recording, index, window, inference_count)
    return readings + [replace(one, name=ENERGY_NAME, unit="J") for one in missing]


def _source_readings(recording: Recording, index: int, window: Window, inference_count: int) -> list[Reading]:
    source = recording.sources[index]
    result = _integrate(source, recording.samples[index], window, recording.period_ns, inference_count)
    if result.energy_j is None:
        notes = [result.reason, recording.failures[index], recording.note]
        return [_unavailable(source, "; ".join(note for note in notes if note))]
    if source.kind is Kind.COUNTER and result.energy_j == 0:
        return [_unavailable(source, f"the counter did not move in {window.duration_s:.3g} s; it counts nothing here")]
    if result.energy_j <= 0:
        return [
            _unavailable(source, f"the mean power of {result.energy_j / window.duration_s:.3g} W is no more than 0")
        ]
    return _measured(source, result, window.duration_s, inference_count)


def _integrate(
    source: PowerSource, samples: Sequence[Sample], window: Window, period_ns: int, inference_count: int
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


def _measured(source: PowerSource, result: EnergyResult, duration_s: float, inference_count: int) -> list[Reading]:
    assert result.energy_j is not None
    step_j = source.resolution
    if step_j is not None and source.kind is Kind.SAMPLED:
        step_j *= duration_s
    low = f"low_confidence: {', '.join(result.shortfalls)}" if result.shortfalls else ""
    readings = [
        _reading(
            source,
            ENERGY_NAME,
            result.energy_j / inference_count,
            status=Status.MEASURED,
            reason="; ".join(note for note in (low, source.caution) if note),
            resolution=None if step_j is None else step_j / inference_count,
        )
    ]
    expanded_j = result.uncertainty.expanded_j if result.uncertainty else None
    if expanded_j is not None:
        steps = ", the sensor's steps" if result.uncertainty and result.uncertainty.quantization_j is not None else ""
        reason = f"k = 2, from edges{steps} and the spread over blocks of 1 s; the sensor's own accuracy is not known"
        value = expanded_j / inference_count
        readings.append(_reading(source, UNCERTAINTY_NAME, value, status=Status.ESTIMATED, reason=reason))
    return readings


def _reading(
    source: PowerSource, name: str, value_j: float, *, status: Status, reason: str, resolution: float | None = None
) -> Reading:
    return Reading(
        name=name,
        value=value_j,
        status=status,
        reason=reason,
        source=source.description,
        scope=source.scope,
        unit="J",
        kind=source.kind,
        resolution=resolution,
        rate_hz=source.rate_hz,
    )


def _unavailable(source: PowerSource, reason: str) -> Reading:
    return unavailable(
        ENERGY_NAME, reason=reason, source=source.description, scope=source.scope, unit="J", kind=source.kind
    )


def _no_sensor(missing: Sequence[Reading]) -> Reading:
    reason = "; ".join(dict.fromkeys(reading.reason for reading in missing)) or "no source of power or energy was given"
    source = missing[0].source if missing else "none"
    return unavailable(ENERGY_NAME, reason=reason, source=source, scope=Scope.SYSTEM, unit="J", kind=Kind.COUNTER)
