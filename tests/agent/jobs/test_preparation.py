from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard_agent.description import RuntimeDescription, describe_device
from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.preparation import Preparation, build_fingerprint
from steelyard_agent.jobs.rounds import RoundRunner
from steelyard_agent.state.prepared import PreparedCache
from steelyard_agent.worker.block import KIND_LATENCY, KIND_PREPARATION, Block, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import plan_pb2
from steelyard_protocol.v1.result_pb2 import PASS_LATENCY, PASS_PREPARATION
from tests.agent.jobs.fakes import FakeOutcome, FakeWorkers, plan_of, round_tools
from tests.support.fake_sysfs import FakeSysfs

COMPILING = RuntimeDescription(
    name="openvino", version="2026.1", providers=("CPU", "GPU"), compiling_providers=("CPU",)
)
PLAIN = RuntimeDescription(name="onnxruntime", version="1.32.0", providers=("CPUExecutionProvider",))


@pytest.fixture
def preparation(tmp_path):
    return Preparation(
        cache=PreparedCache(tmp_path / "prepared"), runtimes=(COMPILING, PLAIN), fingerprint={"kernel": "6.1"}
    )


def planned(runtime="openvino", provider="", environment=""):
    artifact = plan_of(b"model").artifacts[0]
    providers = [plan_pb2.Provider(name=provider)] if provider else []
    artifact.runtime.CopyFrom(plan_pb2.RuntimeSpec(name=runtime, providers=providers, environment=environment))
    return artifact


@pytest.mark.parametrize(
    ("artifact", "concerned"),
    [
        (planned(), True),
        (planned(provider="CPU"), True),
        (planned(provider="GPU"), False),
        (planned("onnxruntime"), False),
        (planned("unheard-of"), False),
        (planned(environment="old"), False),
    ],
)
def test_only_providers_that_compile_are_prepared(preparation, artifact, concerned):
    assert preparation.concerns(artifact) is concerned


def runner(preparation, tmp_path, behave, plan):
    workers = FakeWorkers(behave=behave)
    tools = replace(round_tools(workers, tmp_path / "work"), preparation=preparation)
    paths = BlobPaths(by_digest={one.artifact_digest: tmp_path / one.label for one in plan.artifacts})
    return RoundRunner(plan=plan, paths=paths, tools=tools), workers


async def no_news(_done, _label):
    return None


def mixed_plan():
    plan = plan_of(b"compiled", b"plain")
    plan.artifacts[0].runtime.CopyFrom(plan_pb2.RuntimeSpec(name="openvino"))
    return plan


def built(block):
    hit = block.kind != KIND_PREPARATION
    return FakeOutcome(
        result=WorkerResult(
            runtime_version="1", build_ns=None if hit else 700, prepared_cache_hit=hit, latency_ns=(5,), sample_count=1
        )
    )


async def test_the_preparation_round_builds_only_what_is_compiled_and_timed_blocks_use_it(preparation, tmp_path):
    plan = mixed_plan()
    rounds, workers = runner(preparation, tmp_path, built, plan)
    prepared = await rounds.run(PASS_PREPARATION, 0, before_block=no_news)
    assert [(block.label, block.build_ns, block.prepared_cache_hit) for block in prepared.blocks] == [("a", 700, False)]
    await rounds.run(PASS_LATENCY, 0, before_block=no_news)
    kinds = [(block.kind, bool(block.cache_folder)) for block in workers.blocks]
    assert kinds == [(KIND_PREPARATION, True), (KIND_LATENCY, True), (KIND_LATENCY, False)]
    assert workers.blocks[0].cache_folder == workers.blocks[1].cache_folder


async def test_what_an_earlier_job_built_is_said_with_the_time_it_took_then(preparation, tmp_path):
    plan = mixed_plan()
    rounds, _ = runner(preparation, tmp_path, built, plan)
    await rounds.run(PASS_PREPARATION, 0, before_block=no_news)
    hit = WorkerResult(runtime_version="1", prepared_cache_hit=True)
    again, _ = runner(preparation, tmp_path, lambda _block: FakeOutcome(result=hit), plan)
    (block,) = (await again.run(PASS_PREPARATION, 0, before_block=no_news)).blocks
    assert (block.build_ns, block.prepared_cache_hit) == (700, True)
    assert "compiled by an earlier job" in block.notes[0]


async def test_a_build_that_failed_leaves_nothing_behind(preparation, tmp_path):
    plan = mixed_plan()
    folders = []

    def crash(block):
        folders.append(tmp_path / block.cache_folder)
        (folders[-1] / "half").write_text("half")
        return FakeOutcome(status=BlockStatus.CRASHED, reason="crashed", message="it crashed")

    rounds, _ = runner(preparation, tmp_path, crash, plan)
    (block,) = (await rounds.run(PASS_PREPARATION, 0, before_block=no_news)).blocks
    assert not block.HasField("build_ns")
    assert not folders[0].exists()


async def test_a_build_may_be_silent_for_half_an_hour(preparation, tmp_path):
    plan = mixed_plan()
    rounds, workers = runner(preparation, tmp_path, built, plan)
    await rounds.run(PASS_PREPARATION, 0, before_block=no_news)
    await rounds.run(PASS_LATENCY, 0, before_block=no_news)
    assert workers.timeouts_s[0] == 1800
    assert workers.timeouts_s[1] == plan.block_timeout_ms / 1000


async def test_the_link_may_speak_while_a_model_is_built_and_not_while_one_is_timed(preparation, tmp_path):
    plan = mixed_plan()
    spoke = []
    workers = FakeWorkers()
    tools = replace(round_tools(workers, tmp_path / "work"), preparation=preparation)

    def look(block):
        spoke.append((block.kind, not tools.gate.timing))
        return built(block)

    workers.behave = look
    paths = BlobPaths(by_digest={one.artifact_digest: tmp_path / one.label for one in plan.artifacts})
    rounds = RoundRunner(plan=plan, paths=paths, tools=tools)
    await rounds.run(PASS_PREPARATION, 0, before_block=no_news)
    await rounds.run(PASS_LATENCY, 0, before_block=no_news)
    assert spoke == [(KIND_PREPARATION, True), (KIND_LATENCY, False), (KIND_LATENCY, False)]


def test_another_driver_version_or_option_is_another_build(preparation, tmp_path):
    artifact = planned()
    block = Block(kind=KIND_LATENCY, runtime_name="openvino", model_path="m")
    other_driver = replace(preparation, fingerprint={"kernel": "6.2"})
    other_version = replace(preparation, runtimes=(replace(COMPILING, version="2026.2"),))
    folders = {
        preparation.equipped(artifact, block).cache_folder,
        preparation.equipped(artifact, replace(block, runtime={"intra_op_thread_count": 2})).cache_folder,
        other_driver.equipped(artifact, block).cache_folder,
        other_version.equipped(artifact, block).cache_folder,
    }
    assert len(folders) == 4


def test_the_fingerprint_names_kernel_and_drivers(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/proc/sys/kernel/osrelease", "6.12.1\n")
    tree.write("/proc/driver/nvidia/version", "NVRM version: 580.95.05\n")
    tree.write("/etc/nv_tegra_release", "# R36 (release), REVISION: 4.3\n")
    device = describe_device(tree.system, name="x", device_id="d-1")
    fingerprint = build_fingerprint(tree.system, device)
    assert (fingerprint["device"], fingerprint["kernel"]) == ("d-1", "6.12.1")
    assert "580.95.05" in fingerprint["nvidia_driver"]
    assert "R36" in fingerprint["l4t_release"]
