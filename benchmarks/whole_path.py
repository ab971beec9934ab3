"""A measurement as a user's: a controller, its agent `local`, gRPC between them, the stop rule, the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import SteelyardError
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2, measurement_pb2

NOT_VALID = "NOT_VALID"


@contextmanager
def own_controller() -> Iterator[Client]:
    """Yield a client of a controller that lives as long as the block, with its state in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        settings = Settings(state_directory=Path(folder) / "state", agent_listen="127.0.0.1:0")
        with connect(settings=settings) as client:
            yield client


def compare(client: Client, pair: Sequence[control_pb2.Artifact], *, budget_s: float) -> dict[str, Any]:
    """Return what a comparison with the default settings says of the second artifact against the first.

    ``verdict`` is the name of a ComparisonVerdict, or NOT_VALID when the tool itself refused the figures; times are in
    seconds, ``ratio`` is the first one's time over the second one's.
    """
    options = MeasurementOptions(labels=("one", "other"), budget_s=budget_s, energy=EnergyOptions(round_count=0))
    job = client.measure(pair, options=options)
    try:
        job.wait()
    except SteelyardError as error:
        if client.job(job.job_id).state != control_pb2.JOB_STATE_INVALID:
            raise
        return {"verdict": NOT_VALID, "because": str(error)}
    return _figures(job.measurement())


def _figures(measurement: measurement_pb2.Measurement) -> dict[str, Any]:
    other = measurement.variants[1]
    return {
        "verdict": measurement_pb2.ComparisonVerdict.Name(other.comparison).removeprefix("COMPARISON_VERDICT_"),
        "ratio": other.speedup.value,
        "low": other.speedup.low,
        "high": other.speedup.high,
        "rounds": measurement.round_count,
        "repeated_rounds": measurement.repeated_round_count,
        "seconds": (measurement.finished_at.ToNanoseconds() - measurement.started_at.ToNanoseconds()) / 1e9,
        "stop": measurement.stop_reason,
    }
