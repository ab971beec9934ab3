"""The speeds of several files of one model, in one session of the ordinary measurement path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.whole_path import own_controller
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.plans import MeasurementOptions
from steelyard_protocol.v1 import measurement_pb2

_BUDGET_S = 600.0


def median_latencies_ns(
    files: Mapping[str, Path], *, input_shapes: Mapping[str, tuple[int, ...]], round_count: int, window_ms: int
) -> dict[str, list[float]]:
    """Return each file's median latency of every round, interleaved, on the device ``local`` with one thread.

    ``input_shapes`` are those of inputs with open sizes, by name.
    Files that could not be measured are left out; those that were have a figure of each of the same rounds.
    """
    return by_round(measured(files, input_shapes=input_shapes, round_count=round_count, window_ms=window_ms))


def measured(
    files: Mapping[str, Path], *, input_shapes: Mapping[str, tuple[int, ...]], round_count: int, window_ms: int
) -> measurement_pb2.Measurement:
    """Return one session over files, by label, on the device ``local`` with one thread."""
    options = MeasurementOptions(
        labels=tuple(files),
        budget_s=_BUDGET_S,
        min_round_count=round_count,
        max_round_count=round_count,
        sample_window_ms=window_ms,
        input_shapes=input_shapes,
        energy=EnergyOptions(round_count=0),
        numeric_check=False,
    )
    with own_controller() as client:
        artifacts = [client.add_model(path, name=name) for name, path in files.items()]
        job = client.measure(artifacts, options=options)
        job.wait()
        return job.measurement()


def by_round(measurement: measurement_pb2.Measurement) -> dict[str, list[float]]:
    """Return the medians in the rounds that all measured variants share."""
    found = {
        one.label: {part.round_index: part.p50_ns for part in one.rounds}
        for one in measurement.variants
        if one.rounds and not one.failure.reason
    }
    shared = sorted(set.intersection(*(set(rounds) for rounds in found.values()))) if found else []
    return {label: [rounds[index] for index in shared] for label, rounds in found.items()}


def every_round(measurement: measurement_pb2.Measurement) -> dict[str, list[float | None]]:
    """Return the median of each measured variant in every round of the session, None where it has none."""
    found = {
        one.label: {part.round_index: part.p50_ns for part in one.rounds}
        for one in measurement.variants
        if one.rounds and not one.failure.reason
    }
    indices = sorted(set().union(*found.values()))
    return {label: [rounds.get(index) for index in indices] for label, rounds in found.items()}
