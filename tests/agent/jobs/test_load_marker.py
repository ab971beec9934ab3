"""The load marker of a plan on its way to the worker, and the energy window on its way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.jobs.block_messages import block_result
from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.plan_check import check_plan
from steelyard_agent.jobs.planned_blocks import BlobPaths, block_for
from steelyard_agent.jobs.rounds import _timeout_s
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import result_pb2
from tests.agent.jobs.fakes import plan_of


def marked_plan():
    plan = plan_of(b"m")
    plan.block_timeout_ms = 60_000
    plan.energy.window_ms = 330_000
    plan.energy.marker.pulse_count, plan.energy.marker.pulse_ms = 4, 3000
    return plan


def test_the_marker_reaches_energy_blocks() -> None:
    plan = marked_plan()
    check_plan(plan)
    digest = plan.artifacts[0].artifact_digest
    paths = BlobPaths(by_digest={digest: Path("/blobs") / digest})
    block = block_for(plan, plan.artifacts[0], result_pb2.PASS_ENERGY, paths=paths, output_path=Path("/o"))
    assert (block.marker_pulse_count, block.marker_pulse_ms, block.energy_window_ms) == (4, 3000, 330_000)
    plan.energy.ClearField("marker")
    block = block_for(plan, plan.artifacts[0], result_pb2.PASS_ENERGY, paths=paths, output_path=Path("/o"))
    assert block.marker_pulse_count == 0


@pytest.mark.parametrize(("count", "pulse_ms"), [(1, 200), (33, 200), (4, 9), (4, 60_001)])
def test_a_marker_out_of_bounds_is_refused(count: int, pulse_ms: int) -> None:
    plan = marked_plan()
    plan.energy.marker.pulse_count, plan.energy.marker.pulse_ms = count, pulse_ms
    with pytest.raises(InvalidPlanError, match="of the load marker is"):
        check_plan(plan)


def test_the_window_and_the_edges_reach_the_controller() -> None:
    artifact = plan_of(b"m").artifacts[0]
    result = WorkerResult(
        runtime_version="1", sample_count=7, window_start_ns=50, window_end_ns=90, marker_edges_ns=(1, 2, 3, 5)
    )
    told = {"status": BlockStatus.OK, "reason": "", "message": "", "started_at_unix_ns": 1, "wall_ns": 1}
    block = block_result(artifact, result=result, **told)
    assert block.energy_window == result_pb2.EnergyWindow(
        start_ns=50, end_ns=90, inference_count=7, marker_edges_ns=[1, 2, 3, 5]
    )
    assert not block_result(artifact, result=WorkerResult(runtime_version="1"), **told).HasField("energy_window")


def test_a_worker_may_be_silent_through_its_marker_and_its_window() -> None:
    plan = marked_plan()
    assert _timeout_s(plan, result_pb2.PASS_LATENCY) == 60
    assert _timeout_s(plan, result_pb2.PASS_ENERGY) == 60 + 330 + 11 * 3
    plan.energy.ClearField("marker")
    assert _timeout_s(plan, result_pb2.PASS_ENERGY) == 390
