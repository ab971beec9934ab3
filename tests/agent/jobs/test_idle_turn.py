"""The idle blocks of an energy round on the agent: their place, what they run with, and how they fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.plan_check import check_plan
from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.rounds import RoundRunner
from steelyard_agent.meters.energy import Sample
from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.readings import Kind, Scope
from steelyard_agent.sampler.process import Recording
from steelyard_agent.worker.block import KIND_ENERGY, KIND_IDLE, Block, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import plan_pb2, result_pb2
from tests.agent.jobs.fakes import FakeOutcome, FakeWatch, FakeWorkers, plan_of, round_tools
from tests.support.fake_controller import digest_of
from tests.support.fake_sysfs import FakeSysfs

ENERGY, LATENCY = result_pb2.PASS_ENERGY, result_pb2.PASS_LATENCY


def energy_plan(*contents: bytes, idle_ms: int = 30_000) -> plan_pb2.Plan:
    plan = plan_of(*contents)
    plan.energy.window_ms, plan.energy.idle_ms = 10_000, idle_ms
    return plan


async def ran(
    tmp_path: Path,
    plan: plan_pb2.Plan,
    *,
    pass_kind: result_pb2.Pass.ValueType = ENERGY,
    index: int = 0,
    workers: FakeWorkers | None = None,
) -> tuple[list[result_pb2.BlockResult], FakeWorkers, FakeWatch, list[str]]:
    workers, watch, announced = workers or FakeWorkers(), FakeWatch(), []
    paths = {}
    for content in (b"A", b"B"):
        (tmp_path / digest_of(content)).write_bytes(content)
        paths[digest_of(content)] = tmp_path / digest_of(content)
    runner = RoundRunner(
        plan=plan, paths=BlobPaths(by_digest=paths), tools=round_tools(workers, tmp_path / "work", watch)
    )

    async def hear(_done: int, label: str) -> None:
        announced.append(label)

    finished = await runner.run(pass_kind, index, before_block=hear)
    return list(finished.blocks), workers, watch, announced


@pytest.mark.parametrize(("index", "order"), [(0, ["a", "b"]), (1, ["b", "a"])])
async def test_models_run_between_two_idle_blocks_in_reversed_order_every_second_round(
    tmp_path: Path, index: int, order: list[str]
) -> None:
    blocks, workers, watch, announced = await ran(tmp_path, energy_plan(b"A", b"B"), index=index)
    labels = ["idle before", *order, "idle after"]
    assert [block.label for block in blocks] == announced == labels
    assert [block.role for block in blocks] == [
        result_pb2.BLOCK_ROLE_IDLE_BEFORE,
        result_pb2.BLOCK_ROLE_UNSPECIFIED,
        result_pb2.BLOCK_ROLE_UNSPECIFIED,
        result_pb2.BLOCK_ROLE_IDLE_AFTER,
    ]
    assert [block.kind for block in workers.blocks] == [KIND_IDLE, KIND_ENERGY, KIND_ENERGY, KIND_IDLE]
    assert watch.log == ["start", "stop"] * 4
    assert {one.loaded_rest_ms for one in workers.blocks if one.kind == KIND_ENERGY} == {5000}


@pytest.mark.parametrize(("pass_kind", "idle_ms"), [(ENERGY, 0), (LATENCY, 30_000)])
async def test_nothing_idles_where_no_baseline_was_asked_for(tmp_path: Path, pass_kind, idle_ms: int) -> None:
    blocks, workers, _, _ = await ran(tmp_path, energy_plan(b"A", idle_ms=idle_ms), pass_kind=pass_kind)
    assert [block.label for block in blocks] == ["a"]
    assert workers.blocks[0].kind != KIND_IDLE


async def test_an_idle_block_has_runtime_and_cores_of_the_first_model_and_no_model(tmp_path: Path) -> None:
    plan = energy_plan(b"A", b"B")
    plan.core_ids.append(1)
    plan.artifacts[0].core_ids.append(3)
    plan.artifacts[0].runtime.providers.add(name="CUDAExecutionProvider")
    blocks, workers, _, _ = await ran(tmp_path, plan)
    idle = workers.blocks[0]
    assert (idle.runtime_name, idle.core_ids, idle.model_path, idle.idle_window_ms) == ("onnxruntime", (3,), "", 30_000)
    # No model's digest: it is nobody's turn.
    assert blocks[0].artifact_digest == ""
    # Silent for its whole window and what it sleeps around it.
    assert workers.timeouts_s[0] == 60 + 32


async def test_an_idle_block_that_fails_is_said_with_its_role_and_the_models_run(tmp_path: Path) -> None:
    def fail(block: Block) -> FakeOutcome | None:
        if block.kind == KIND_IDLE:
            return FakeOutcome(status=BlockStatus.RUNTIME_MISSING, reason="runtime_missing", message="it is gone")
        return None

    blocks, _, _, _ = await ran(tmp_path, energy_plan(b"A"), workers=FakeWorkers(behave=fail))
    before, model, after = blocks
    assert before.role == result_pb2.BLOCK_ROLE_IDLE_BEFORE
    assert (before.status, before.error.message) == (result_pb2.BLOCK_STATUS_RUNTIME_MISSING, "it is gone")
    assert model.status == result_pb2.BLOCK_STATUS_OK
    assert after.role == result_pb2.BLOCK_ROLE_IDLE_AFTER


@pytest.mark.parametrize("field", ["idle_ms", "longest_window_ms", "window_ms"])
def test_windows_longer_than_an_hour_are_refused(field: str) -> None:
    plan = plan_of(b"A")
    check_plan(plan)
    setattr(plan.energy, field, 3_600_001)
    with pytest.raises(InvalidPlanError, match=field):
        check_plan(plan)


def test_the_loaded_rest_of_a_block_is_read_beside_its_energy(tmp_path: Path) -> None:
    """Power is 2 W until 6 s, 2.5 W with the model loaded until 12 s, then 8 W."""
    source = PowerSource(
        name="power", kind=Kind.SAMPLED, scope=Scope.MODULE, addresses=("/x",), scale=1e-3, detail="planted"
    )
    milliwatts = [2000 if at < 300 else 2500 if at < 600 else 8000 for at in range(1800)]
    samples = tuple(Sample(time_ns=at * 20_000_000, value=value) for at, value in enumerate(milliwatts))
    recording = Recording(sources=(source,), samples=(samples,), failures=("",), period_ns=20_000_000)
    second = 1_000_000_000
    result = WorkerResult(
        runtime_version="1",
        window_start_ns=15 * second,
        window_end_ns=30 * second,
        sample_count=1000,
        loaded_start_ns=7 * second,
        loaded_end_ns=11 * second,
    )
    watch = SamplerWatch(FakeSysfs(tmp_path).system)
    told = {one.name: one for one in watch._read(recording, result, 15 * second, 30 * second)}
    assert told["loaded_power"].value == pytest.approx(2.5, rel=0.01)
    assert told["energy_per_inference"].value == pytest.approx(8.0 * 15 / 1000, rel=0.01)
    idle = replace(result, is_idle=True, sample_count=0, loaded_start_ns=None, loaded_end_ns=None)
    told = {one.name: one for one in watch._read(recording, idle, second, 5 * second)}
    assert set(told) == {"idle_power", "idle_power_uncertainty"}
    assert told["idle_power"].value == pytest.approx(2.0, rel=0.01)
