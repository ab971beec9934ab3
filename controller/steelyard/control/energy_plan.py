"""The energy pass of a plan: how long its windows are and which marker runs before them, for the meters named."""

from __future__ import annotations

from steelyard.errors import UsageError
from steelyard.meters.registry import checked_url
from steelyard_protocol.v1 import control_pb2

_WINDOW_MS = 10_000
_MAX_METER_COUNT = 8
# Four pulses are the fewest whose pattern a periodic load matches by no more than two thirds (meters/alignment.py).
PULSE_COUNT = 4


def complete_energy(request: control_pb2.SubmitMeasurementRequest) -> None:
    """Check the meters of a request and fill in what they need of the energy pass.

    Raises:
        UsageError: too many meters, one named twice, an unknown kind, a bad address, a library that is not installed.
    """
    if len(request.meters) > _MAX_METER_COUNT:
        raise UsageError("too_many_meters", f"{len(request.meters)} meters are more than {_MAX_METER_COUNT}")
    twice = next((meter for meter in request.meters if list(request.meters).count(meter) > 1), None)
    if twice is not None:
        raise UsageError("meter_twice", f"meter {twice!r} is named twice: name each one once")
    kinds = [checked_url(meter)[0] for meter in request.meters]
    energy = request.plan.energy
    if not energy.window_ms:
        energy.window_ms = max([_WINDOW_MS, *(round(kind.energy_window_s * 1000) for kind in kinds)])
    if kinds and not energy.HasField("marker"):
        energy.marker.pulse_count = PULSE_COUNT
        energy.marker.pulse_ms = max(round(kind.pulse_s * 1000) for kind in kinds)
