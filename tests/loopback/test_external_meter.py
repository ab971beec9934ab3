"""A real agent and its real worker beside a meter that the controller reads."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from steelyard.bundle import verify_bundle, write_bundle
from steelyard.control import jobs
from steelyard.control.client import Client
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.job_handle import JobHandle
from steelyard.control.plans import MeasurementOptions
from steelyard.meters import registry
from steelyard.meters.trace import trace_of
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2
from tests.loopback import cpu_meter
from tests.support.anywhere import ANYWHERE

Write = Callable[..., Path]
_MOST_TRIES = 3


def measured_seen(client: Client, artifact: control_pb2.Artifact, options: MeasurementOptions) -> JobHandle:
    """Measure until the load marker stands out in the trace: other tests on the same cores may hide it."""
    for _ in range(_MOST_TRIES):
        handle = client.measure([artifact], options=options)
        assert handle.wait().state == control_pb2.JOB_STATE_RECORDED
        first = handle.measurement().variants[0].external_energy_readings[0]
        if first.status != common_pb2.READING_STATUS_UNAVAILABLE:
            break
    return handle


def test_the_energy_of_a_block_is_that_of_its_window_within_its_doubt(
    client: Client, model: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(registry._BUILT_IN, "cpu", cpu_meter.__name__)
    meters = ("cpu:", "scpi:TCPIP0::127.0.0.1::1::SOCKET?backend=@py")
    energy = EnergyOptions(round_count=1, window_s=3.0, idle_s=3.0)
    options = MeasurementOptions(
        min_round_count=3, max_round_count=3, sample_window_ms=20, meters=meters, energy=energy, gate=ANYWHERE
    )
    handle = measured_seen(client, client.add_model(model()), options)
    (energy_round,) = [one for one in client.rounds(handle.job_id) if one.pass_kind == result_pb2.PASS_ENERGY]
    before, block, after = energy_round.blocks
    assert (before.role, after.role) == (result_pb2.BLOCK_ROLE_IDLE_BEFORE, result_pb2.BLOCK_ROLE_IDLE_AFTER)
    window = block.energy_window
    assert len(window.marker_edges_ns) == 8
    readings = handle.measurement().variants[0].external_energy_readings
    told = {one.name: one for one in readings[:-1]}
    measured, uncertainty, lost = *readings[:2], readings[-1]

    # The agent runs on this machine, so that its clock is ours; only the meter's lag is to be found.
    truth = cpu_meter.CpuMeter.truth
    truth_j = truth.energy_j(window) / window.inference_count
    # How well the marker was found is part of what the reading says of itself.
    doubt_j = 0.01 * truth_j + uncertainty.value + truth.doubt_j(window) / window.inference_count
    assert measured.value == pytest.approx(truth_j, abs=doubt_j), measured.reason
    assert 0 < uncertainty.value < measured.value
    assert measured.scope == common_pb2.READING_SCOPE_BOARD_INPUT
    # Three seconds were asked for; a processor that is busy with something else makes more of them.
    assert re.search(r"low_confidence: the window lasted [3-9]\.\d s, less than 10 s", measured.reason)
    assert "aligned by the load marker" in measured.reason

    # Nothing runs in the idle blocks, so that no marker does: the model's alignment places them.
    idle_w = np.mean([truth.mean_w(one.energy_window) for one in (before, after)])
    assert told["idle_power"].value == pytest.approx(idle_w, rel=0.02)
    net_j = truth_j - idle_w * (window.end_ns - window.start_ns) / 1e9 / window.inference_count
    assert told["net_energy_per_inference"].value == pytest.approx(net_j, abs=0.01 * net_j + doubt_j)
    assert told["net_energy_per_inference"].reason == ""

    # The meter that is not there cost its own reading and nothing else.
    assert lost.status == common_pb2.READING_STATUS_UNAVAILABLE
    assert "refused" in lost.reason
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("meter ")]

    traces = {trace.meter: trace for trace in client.traces(handle.job_id)}
    assert set(traces) == set(meters)
    assert trace_of(traces["cpu:"]).times_ns.size > 300
    assert [one.label for one in traces["cpu:"].blocks] == ["idle before", block.label, "idle after"]

    # Aligned again from the trace in a bundle, whose meters and places have other names, each figure is the same.
    found = verify_bundle(write_bundle(client, [handle.job_id], tmp_path / "b.zip", anonymous=True).path)
    assert found.agrees
    assert {one.kind for one in found.manifest.members} >= {"trace", "round"}


def test_minutes_of_windows_are_not_run_where_nothing_would_read_them(
    client: Client, model: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "reads_energy", lambda _device: False)
    # The discard port: nobody listens.
    options = MeasurementOptions(
        min_round_count=3,
        max_round_count=3,
        sample_window_ms=20,
        meters=("shelly:http://127.0.0.1:9",),
        gate=ANYWHERE,
    )
    handle = client.measure([client.add_model(model())], options=options)
    assert handle.wait().state == control_pb2.JOB_STATE_RECORDED
    assert result_pb2.PASS_ENERGY not in {one.pass_kind for one in client.rounds(handle.job_id)}
    (lost,) = handle.measurement().variants[0].external_energy_readings
    assert lost.status == common_pb2.READING_STATUS_UNAVAILABLE
    assert "http://127.0.0.1:9 cannot be reached" in lost.reason
