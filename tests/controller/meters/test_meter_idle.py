"""Idle baselines at external meters, with planted powers: net energy, drift, and blocks that cannot be placed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from steelyard.analysis.external_energy import external_readings, external_warnings
from steelyard.analysis.external_rounds import MeterRounds, read_meters
from steelyard.meters.block_energy import idle_power
from steelyard.meters.contract import MeterFacts, MeterSample, Scope
from steelyard.meters.trace import TraceBuilder
from steelyard_protocol.v1 import common_pb2, result_pb2
from tests.controller.analysis.planted_rounds import digest_of, round_of
from tests.controller.meters.planted_traces import MS, Device

METER = "joulescope:001234"
FACTS = MeterFacts(description="Joulescope js220/001234", scope=Scope.BOARD_INPUT, period_s=0.02)
IDLE = ("idle before", "idle after")
ROLES = (result_pb2.BLOCK_ROLE_IDLE_BEFORE, result_pb2.BLOCK_ROLE_IDLE_AFTER)
MARGIN_MS = 45_000


def measured(
    device: Device, *, drift_w: float = 0.0, marker: bool = True, idle_failed: str = "", noise_w: float = 0.1
) -> MeterRounds:
    """One energy round of a model on a device; power rises by ``drift_w`` in the middle of the model's window."""
    block = result_pb2.BlockResult(artifact_digest=digest_of("a"), label="a", status=result_pb2.BLOCK_STATUS_OK)
    block.energy_window.CopyFrom(device.window(1000))
    if not marker:
        block.energy_window.ClearField("marker_edges_ns")
    heard, idle = [device.heard()], []
    for label, role, window in zip(IDLE, ROLES, device.idle_windows(), strict=True):
        one = result_pb2.BlockResult(label=label, role=role, status=result_pb2.BLOCK_STATUS_OK, energy_window=window)
        if idle_failed:
            one.status = result_pb2.BLOCK_STATUS_CRASHED
            one.error.message = idle_failed
        idle.append(one)
        heard.append(device.heard_idle(window, label))
    trace = device.trace(noise_w=noise_w, margin_ms=MARGIN_MS)
    middle_ns = device.offset_ns + (block.energy_window.start_ns + block.energy_window.end_ns) // 2
    power_w = trace.power_w + drift_w * (trace.times_ns > middle_ns)
    builder = TraceBuilder()
    builder.add(
        MeterSample(time_ns=int(at), power_w=float(power)) for at, power in zip(trace.times_ns, power_w, strict=True)
    )
    rounds = [round_of(result_pb2.PASS_ENERGY, 0, [idle[0], block, idle[1]])]
    traces = [builder.message(meter=METER, facts=FACTS, blocks=sorted(heard, key=lambda one: one.begin_ns), reason="")]
    (found,) = read_meters([METER], rounds, traces)
    return found


def by_name(found: MeterRounds) -> dict[str, common_pb2.Reading]:
    return {one.name: one for one in external_readings("a", [found])}


@pytest.mark.parametrize(("rest_w", "load_w"), [(3.0, 8.0), (2.0, 2.5), (5.0, 25.0)])
def test_gross_net_and_idle_are_within_one_percent_of_what_was_planted(rest_w: float, load_w: float) -> None:
    device = Device(rest_w=rest_w, load_w=load_w)
    found = measured(device, noise_w=0.02)
    told = by_name(found)
    # 10 s and 1000 inferences: 10 ms each.
    truth = {
        "energy_per_inference": load_w * 0.01,
        "net_energy_per_inference": (load_w - rest_w) * 0.01,
        "mean_power": load_w,
        "idle_power": rest_w,
    }
    for name, value in truth.items():
        assert told[name].value == pytest.approx(value, rel=0.01), name
        assert abs(told[name].value - value) <= told[f"{name}_uncertainty"].value, name
        assert told[name].scope == common_pb2.READING_SCOPE_BOARD_INPUT
    assert (told["idle_power"].unit, told["net_energy_per_inference"].unit) == ("W", "J")
    assert told["net_energy_per_inference"].reason == ""
    assert external_warnings([found]) == []


def test_a_load_that_draws_nothing_of_its_own_is_not_told_apart_from_idle() -> None:
    """The window holds nothing but rest, while the marker before it was load."""
    device = Device()
    empty = dataclasses.replace(device, window_ms=10_000)
    found = measured(empty)
    quiet_ns = device.idle_windows()[1]
    # The same round with its model's window where nothing ran: the marker still aligns it.
    energy = found.rounds[0].energies["a"]
    assert energy.placed is not None
    trace = device.trace(noise_w=0.1, margin_ms=MARGIN_MS)
    idle = idle_power(trace, quiet_ns, None, energy.placed)
    assert not isinstance(idle, str)
    quiet = dataclasses.replace(energy, energy_j=idle.value * 0.01, expanded_uncertainty_j=0.02 * 0.01)
    same = dataclasses.replace(found.rounds[0], energies={"a": quiet})
    told = by_name(dataclasses.replace(found, rounds=(same,) * 3))
    assert told["net_energy_per_inference"].reason == "not distinguishable from idle"
    assert told["net_energy_per_inference"].value < told["net_energy_per_inference_uncertainty"].value


def test_baselines_apart_are_warned_of() -> None:
    (warning,) = external_warnings([measured(Device(), drift_w=0.3)])
    assert warning.startswith("baseline_drift in 1 of 1 energy rounds: idle power was 3 W before the models and 3.3 W ")
    assert "Joulescope js220/001234" in warning
    assert external_warnings([measured(Device(), drift_w=0.05)]) == []


def test_without_a_marker_a_short_idle_window_cannot_be_placed_and_says_so() -> None:
    found = measured(Device(), marker=False)
    assert found.rounds[0].energies["a"].energy_j is None
    assert isinstance(found.rounds[0].idle, str)
    assert "measure at least 300 s (--idle-window 6m)" in found.rounds[0].idle


def test_a_long_idle_window_is_placed_by_when_it_was_heard_of() -> None:
    device = Device()
    window = result_pb2.EnergyWindow(start_ns=device.start_ns - 400_000 * MS, end_ns=device.start_ns - 60_000 * MS)
    trace = device.trace(period_ms=1000, noise_w=0.1, margin_ms=420_000)
    found = idle_power(trace, window, device.heard_idle(window, "idle before"))
    assert not isinstance(found, str)
    assert found.value == pytest.approx(3.0, rel=0.01)


def test_idle_blocks_that_failed_leave_gross_and_the_reason() -> None:
    told = by_name(measured(Device(), idle_failed="the runtime is gone"))
    assert told["energy_per_inference"].HasField("value")
    net = told["net_energy_per_inference"]
    assert (net.HasField("value"), net.reason) == (False, "the runtime is gone")
    assert "idle_power" not in told
    assert told["mean_power"].value == pytest.approx(8.0, rel=0.01)


def test_a_meter_that_was_away_in_the_idle_blocks_is_said() -> None:
    device = Device()
    trace = device.trace(margin_ms=1000)
    window = device.idle_windows()[0]
    energy = measured(device).rounds[0].energies["a"]
    found = idle_power(trace, window, None, energy.placed)
    assert isinstance(found, str)
    assert "samples in a window" in found
    empty = dataclasses.replace(trace, times_ns=np.empty(0, np.int64), power_w=np.empty(0))
    assert idle_power(empty, window, None) == "the device told no idle window, or the meter told nothing in it"
