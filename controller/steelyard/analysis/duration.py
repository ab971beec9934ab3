"""What a measurement will take, said before it starts."""

from __future__ import annotations

from math import ceil

from steelyard_protocol.v1 import control_pb2, plan_pb2

# Observed with small models: starting the process and the runtime takes about 0.35 s, warming up 0.2 s.
_BLOCK_OVERHEAD_MS = 550
# Per evaluated sample before anything is known of the model: small models take 0.1 to 2 ms.
_SAMPLE_MS = 1.0
_STAGING_MS = 1000
# The roofline probe makes about nine rates of five tries each, and the products of growing matrices.
_TRIES_OF_A_PROBE = 25
# Asleep before and behind each window in which nothing runs.
_AROUND_REST_MS = 2000
# The agent's default of TimingSpec.min_sample_count.
_LEAST_SAMPLES = 10


def estimated_duration_ms(
    request: control_pb2.SubmitMeasurementRequest, sample_count: int, *, energy_round_count: int = 0
) -> int:
    """Return the expected time in milliseconds: staging, one pass over the data, the least number of rounds.

    ``energy_round_count`` are the rounds of the energy pass, 0 where the device has no sensor or never told.
    """
    plan = request.plan
    block_ms = _BLOCK_OVERHEAD_MS + timed_window_ms(plan)
    evaluation_ms = _BLOCK_OVERHEAD_MS + sample_count * _SAMPLE_MS if sample_count else 0.0
    rounds_ms = _round_count(request, block_ms) * block_ms
    operators_ms = _BLOCK_OVERHEAD_MS + plan.operators.window_ms if plan.HasField("operators") else 0
    probe_ms = _BLOCK_OVERHEAD_MS + _TRIES_OF_A_PROBE * plan.roofline.window_ms if plan.HasField("roofline") else 0
    # On the device, and then here.
    numeric_ms = 2 * _BLOCK_OVERHEAD_MS if plan.numeric.data_digest else 0
    each_ms = evaluation_ms + rounds_ms + operators_ms + numeric_ms
    energy_ms = energy_round_count * energy_round_ms(plan)
    return round(_STAGING_MS + len(plan.artifacts) * each_ms + energy_ms + probe_ms)


def round_ms(plan: plan_pb2.Plan) -> int:
    """Return how long a round of the latency pass takes where nothing is waited for."""
    return len(plan.artifacts) * (_BLOCK_OVERHEAD_MS + timed_window_ms(plan))


def _round_count(request: control_pb2.SubmitMeasurementRequest, block_ms: float) -> int:
    """Return the rounds that will be measured at least: one always, and no more than the budget allows."""
    if not request.budget_ms:
        return request.min_round_count
    affordable = int(request.budget_ms / (block_ms * max(1, len(request.plan.artifacts))))
    return max(1, min(request.min_round_count, affordable))


def energy_round_ms(plan: plan_pb2.Plan) -> int:
    """Return how long a round of the energy pass takes: an idle baseline, every model, and another idle baseline."""
    energy = plan.energy
    block_ms = _BLOCK_OVERHEAD_MS + marker_ms(energy) + energy.window_ms
    if not energy.idle_ms:
        return len(plan.artifacts) * block_ms
    # A model also rests once it is loaded, for a sixth of the baseline.
    resting_ms = _AROUND_REST_MS + energy.idle_ms // 6
    return len(plan.artifacts) * (block_ms + resting_ms) + 2 * (_BLOCK_OVERHEAD_MS + _AROUND_REST_MS + energy.idle_ms)


def longest_energy_silence_ms(energy: plan_pb2.EnergySpec) -> int:
    """Return how long a block of the energy pass may give no sign although it fares well."""
    idle_ms = energy.idle_ms + _AROUND_REST_MS if energy.idle_ms else 0
    return max(energy.window_ms + marker_ms(energy), energy.longest_window_ms + marker_ms(energy), idle_ms)


def timed_window_ms(plan: plan_pb2.Plan) -> int:
    """Return how long a timed block of the latency pass samples in the plan's mode."""
    mode, timing = plan.mode, plan.timing
    if mode.mode == plan_pb2.MODE_SUSTAINED:
        return mode.duration_ms
    if mode.mode == plan_pb2.MODE_PACED and mode.rate_hz > 0:
        # A slow rate goes on until there are enough arrivals.
        return max(timing.sample_window_ms, ceil(1000 * (timing.min_sample_count or _LEAST_SAMPLES) / mode.rate_hz))
    return timing.sample_window_ms


def marker_ms(energy: plan_pb2.EnergySpec) -> int:
    """Return how long the load marker lasts: a rest, then pulses and rests, the last of both twice as long."""
    return (2 * energy.marker.pulse_count + 3) * energy.marker.pulse_ms
