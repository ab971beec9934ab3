"""The energy pass of a plan: its rounds, how long its windows and idle baselines are, and which marker meters need."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.errors import UsageError
from steelyard.meters.contract import LEAST_INFERENCES
from steelyard.meters.registry import checked_url
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

DEFAULT_ROUND_COUNT = 3
DEFAULT_IDLE_MS = 30_000
_WINDOW_MS = 10_000
# A model whose LEAST_INFERENCES take longer than this is measured shorter, at low confidence.
_LONGEST_WINDOW_MS = 120_000
_MAX_ROUND_COUNT = 100
_MAX_METER_COUNT = 8
# Four pulses are the fewest whose pattern a periodic load matches by no more than two thirds (meters/alignment.py).
PULSE_COUNT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyOptions:
    """What a person asks of the energy pass (docs/energy.md); it runs only beside a sensor or a meter.

    ``round_count`` None is the default, 0 no energy pass. ``window_s`` 0 is what the device's sensors and the meters
    need. ``idle_s`` None is the default, 0 no idle baseline, and so no net energy.
    """

    round_count: int | None = None
    window_s: float = 0.0
    idle_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no device can honour."""
        if self.round_count is not None and not 0 <= self.round_count <= _MAX_ROUND_COUNT:
            raise UsageError(
                "bad_energy_rounds", f"{self.round_count} energy rounds are not a number from 0 to {_MAX_ROUND_COUNT}"
            )
        for what, seconds in (("an energy window", self.window_s), ("an idle window", self.idle_s)):
            if seconds and not 0.1 <= seconds <= 3600:
                reason = "bad_energy_window" if what == "an energy window" else "bad_idle_window"
                raise UsageError(reason, f"{what} of {seconds} s is not between 0.1 and 3600")

    def add_to_plan(self, plan: plan_pb2.Plan) -> None:
        """Put into the plan what the options say; without a word of it the controller fills in all."""
        if not self.window_s and self.idle_s is None:
            return
        plan.energy.window_ms = round(self.window_s * 1000)
        plan.energy.idle_ms = DEFAULT_IDLE_MS if self.idle_s is None else round(self.idle_s * 1000)

    def add_to(self, request: control_pb2.SubmitMeasurementRequest) -> None:
        """Put into the request how many rounds there are."""
        request.energy_round_count = self.round_count or 0
        request.without_energy = self.round_count == 0


def complete_energy(
    request: control_pb2.SubmitMeasurementRequest, device: common_pb2.DeviceDescription | None = None
) -> None:
    """Check the meters of a request and fill in what they and the device need; None: it never described itself.

    Raises:
        UsageError: too many meters, one named twice, an unknown kind, a bad address, a library that is not installed,
            too many rounds, or meters and no energy pass that they could be read in.
    """
    _check_meters(request)
    if request.energy_round_count > _MAX_ROUND_COUNT:
        raise UsageError(
            "bad_energy_rounds", f"{request.energy_round_count} energy rounds are more than {_MAX_ROUND_COUNT}"
        )
    energy = request.plan.energy
    if not request.plan.HasField("energy"):
        energy.idle_ms = DEFAULT_IDLE_MS
    kinds = [checked_url(meter)[0] for meter in request.meters]
    if kinds and not energy.HasField("marker"):
        energy.marker.pulse_count = PULSE_COUNT
        energy.marker.pulse_ms = max(round(kind.pulse_s * 1000) for kind in kinds)
    if device is not None:
        settle_window(request, device)


def settle_window(request: control_pb2.SubmitMeasurementRequest, device: common_pb2.DeviceDescription) -> None:
    """Fill in the window that the device's sensors and the meters need, where none was asked for."""
    energy = request.plan.energy
    if energy.window_ms:
        return
    kinds = [checked_url(meter)[0] for meter in request.meters]
    meters_ms = (round(kind.energy_window_s * 1000) for kind in kinds)
    # A device has no more to say than that: one that asks for a year would never be measured.
    sensors_ms = min(device.least_energy_window_ms, _LONGEST_WINDOW_MS)
    energy.window_ms = max(_WINDOW_MS, sensors_ms, *meters_ms)
    energy.least_inference_count = LEAST_INFERENCES
    energy.longest_window_ms = max(energy.window_ms, _LONGEST_WINDOW_MS)


def reads_energy(device: common_pb2.DeviceDescription) -> bool:
    """Return whether a device said that it can read power or energy, and that they are its own."""
    return not device.emulated_by and any(
        meter.status == common_pb2.READING_STATUS_MEASURED and meter.unit in ("J", "W") for meter in device.meters
    )


def energy_round_count(request: control_pb2.SubmitMeasurementRequest, *, device_tells: bool) -> int:
    """Return the rounds of the energy pass, 0 for none; ``device_tells``: it has a power or energy sensor."""
    if request.without_energy or not request.plan.HasField("energy") or not (request.meters or device_tells):
        return 0
    return request.energy_round_count or DEFAULT_ROUND_COUNT


def _check_meters(request: control_pb2.SubmitMeasurementRequest) -> None:
    if len(request.meters) > _MAX_METER_COUNT:
        raise UsageError("too_many_meters", f"{len(request.meters)} meters are more than {_MAX_METER_COUNT}")
    twice = next((meter for meter in request.meters if list(request.meters).count(meter) > 1), None)
    if twice is not None:
        raise UsageError("meter_twice", f"meter {twice!r} is named twice: name each one once")
    for meter in request.meters:
        checked_url(meter)
    if request.meters and request.without_energy:
        raise UsageError(
            "meter_without_energy",
            f"meter {request.meters[0]!r} is read in the energy pass, of which no round is wanted: leave out --meter, "
            "or --energy-rounds 0",
        )
