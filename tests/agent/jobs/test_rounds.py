import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.retry_policy import Failure, RetryPolicy
from steelyard_agent.jobs.rounds import RoundRunner
from steelyard_agent.worker.block import Block
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.result_pb2 import (
    BLOCK_STATUS_DISK_FULL,
    BLOCK_STATUS_OK,
    BLOCK_STATUS_TIMEOUT,
    PASS_ENERGY,
    PASS_EVALUATION,
    PASS_LATENCY,
)
from tests.agent.jobs.fakes import FakeOutcome, FakeWatch, FakeWorkers, names_in, plan_of, round_tools
from tests.support.fake_controller import digest_of

PLAN = plan_of(b"A", b"B", b"C", evaluation=b"data")


async def nothing(blocks_done: int, label: str) -> None:
    """Nobody listens."""


def runner_of(folder: Path, workers: FakeWorkers, plan: Plan = PLAN, watch: FakeWatch | None = None) -> RoundRunner:
    found = {}
    for content in (b"A", b"B", b"C", b"data"):
        (folder / digest_of(content)).write_bytes(content)
        found[digest_of(content)] = folder / digest_of(content)
    tools = round_tools(workers, folder / "work", watch)
    return RoundRunner(plan=plan, paths=BlobPaths(by_digest=found), tools=tools)


async def test_the_order_is_reversed_in_every_odd_round(tmp_path: Path) -> None:
    runner, said = runner_of(tmp_path, FakeWorkers()), []

    async def listen(blocks_done: int, label: str) -> None:
        said.append((blocks_done, label))

    orders = []
    for index in range(4):
        finished = await runner.run(PASS_LATENCY, index, before_block=listen)
        orders.append("".join(block.label for block in finished.blocks))
    assert orders == ["abc", "cba", "abc", "cba"]
    assert said[:4] == [(0, "a"), (1, "b"), (2, "c"), (0, "c")]


async def test_temperature_is_read_before_and_after_each_block(tmp_path: Path) -> None:
    finished = await runner_of(tmp_path, FakeWorkers()).run(PASS_LATENCY, 0, before_block=nothing)
    names = [reading.name for reading in finished.blocks[0].readings]
    assert names == ["cpu_temperature_before", "cpu_temperature_after"]


async def test_the_outputs_of_an_evaluation_are_kept_by_digest(tmp_path: Path) -> None:
    finished = await runner_of(tmp_path, FakeWorkers()).run(PASS_EVALUATION, 0, before_block=nothing)
    assert [block.outputs_digest for block in finished.blocks] == [
        digest_of(b"outputs of " + content) for content in (b"A", b"B", b"C")
    ]
    assert [path.read_bytes() for path in finished.output_files.values()] == [
        b"outputs of A",
        b"outputs of B",
        b"outputs of C",
    ]


async def test_energy_is_watched_around_each_block_of_its_pass_only(tmp_path: Path) -> None:
    watch = FakeWatch()
    runner = runner_of(tmp_path, FakeWorkers(), plan_of(b"A"), watch)
    await runner.run(PASS_LATENCY, 0, before_block=nothing)
    assert watch.log == []
    finished = await runner.run(PASS_ENERGY, 0, before_block=nothing)
    assert watch.log == ["start", "stop"]
    assert len(finished.blocks[0].readings) == 3


async def test_a_cancelled_energy_block_leaves_no_sampler_behind(tmp_path: Path) -> None:
    watch, workers = FakeWatch(), FakeWorkers(hold=asyncio.Event())
    runner = runner_of(tmp_path, workers, plan_of(b"A"), watch)
    running = asyncio.ensure_future(runner.run(PASS_ENERGY, 0, before_block=nothing))
    await workers.started.wait()
    running.cancel()
    await asyncio.wait({running})
    assert (watch.log, workers.cancelled_count) == (["start", "stop"], 1)


def ends(status: BlockStatus, model: bytes) -> FakeWorkers:
    """Workers for which one model always ends like this."""

    def behave(block: Block) -> FakeOutcome | None:
        bad = Path(block.model_path).name == digest_of(model)
        return FakeOutcome(status=status, reason="why", message="a sentence") if bad else None

    return FakeWorkers(behave=behave)


async def test_a_failed_block_does_not_stop_the_round_and_is_not_tried_again(tmp_path: Path) -> None:
    workers = ends(BlockStatus.TIMEOUT, b"B")
    runner = runner_of(tmp_path, workers)
    first = await runner.run(PASS_LATENCY, 0, before_block=nothing)
    second = await runner.run(PASS_LATENCY, 1, before_block=nothing)
    for finished in (first, second):
        by_label = {block.label: block for block in finished.blocks}
        assert by_label["b"].status == BLOCK_STATUS_TIMEOUT
        assert (by_label["b"].error.reason, by_label["b"].error.message) == ("why", "a sentence")
        assert by_label["a"].status == by_label["c"].status == BLOCK_STATUS_OK
    assert workers.models.count(digest_of(b"B")) == 1
    assert "not run again" in second.blocks[1].notes[0]


@pytest.mark.parametrize("status", [BlockStatus.CRASHED, BlockStatus.KILLED_UNKNOWN, BlockStatus.INTERNAL])
async def test_what_may_have_been_an_accident_is_tried_twice_more(tmp_path: Path, status: BlockStatus) -> None:
    workers = ends(status, b"A")
    runner = runner_of(tmp_path, workers, plan_of(b"A"))
    for index in range(5):
        await runner.run(PASS_LATENCY, index, before_block=nothing)
    assert len(workers.blocks) == 3


@pytest.mark.parametrize(
    ("status", "failed_in", "asked_in", "may_run"),
    [
        (BlockStatus.INVALID_MODEL, PASS_EVALUATION, PASS_LATENCY, False),
        (BlockStatus.TIMEOUT, PASS_EVALUATION, PASS_LATENCY, True),
        (BlockStatus.TIMEOUT, PASS_EVALUATION, PASS_EVALUATION, False),
        (BlockStatus.TIMEOUT, PASS_LATENCY, PASS_EVALUATION, False),
        (BlockStatus.USER_ERROR, PASS_EVALUATION, PASS_ENERGY, True),
        (BlockStatus.OUT_OF_MEMORY, PASS_LATENCY, PASS_ENERGY, False),
    ],
)
def test_what_the_data_may_have_caused_is_only_held_against_its_own_pass(
    status: BlockStatus, failed_in: int, asked_in: int, may_run: bool
) -> None:
    policy = RetryPolicy()
    policy.record("a", Failure(status=status, reason="", message="", pass_kind=failed_in))
    assert (policy.verdict("a", asked_in) is None) == may_run
    assert policy.verdict("b", asked_in) is None


async def test_a_failed_evaluation_leaves_no_outputs_for_the_next(tmp_path: Path) -> None:
    def behave(block: Block) -> FakeOutcome | None:
        Path(block.output_path).write_bytes(b"half")
        return FakeOutcome(status=BlockStatus.CRASHED, reason="x", message="y")

    runner = runner_of(tmp_path, FakeWorkers(behave=behave), plan_of(b"A", evaluation=b"data"))
    finished = await runner.run(PASS_EVALUATION, 0, before_block=nothing)
    assert (finished.output_files, finished.blocks[0].outputs_digest) == ({}, "")
    assert names_in(tmp_path / "work") == []


@pytest.mark.parametrize(("failures", "ends_as"), [(2, BLOCK_STATUS_OK), (999, BLOCK_STATUS_DISK_FULL)])
async def test_a_block_that_finds_no_room_for_its_outputs_runs_again_for_a_while(
    tmp_path: Path, failures: int, ends_as: int
) -> None:
    def behave(_block: Block) -> FakeOutcome | None:
        if len(workers.blocks) > failures:
            return None
        return FakeOutcome(status=BlockStatus.DISK_FULL, reason="disk_full", message="no space left")

    said: list[str] = []

    async def hear(_blocks_done: int, sentence: str) -> None:
        said.append(sentence)

    workers = FakeWorkers(behave=behave)
    runner = runner_of(tmp_path, workers, plan_of(b"A", evaluation=b"data"))
    finished = await runner.run(PASS_EVALUATION, 0, before_block=nothing, while_waiting=hear)
    assert finished.blocks[0].status == ends_as
    assert len(workers.blocks) == len(said) + 1
    assert said[0] == "waiting for room on the disk: no space left"
    assert len(finished.output_files) == (ends_as == BLOCK_STATUS_OK)


async def test_a_block_of_another_environment_runs_under_its_interpreter(tmp_path: Path) -> None:
    plan, workers = plan_of(b"A", b"B"), FakeWorkers()
    plan.artifacts[1].runtime.environment = "tflite"
    runner = runner_of(tmp_path, workers, plan)
    runner._tools = replace(runner._tools, interpreters={"tflite": Path("/opt/tflite/bin/python")})
    await runner.run(PASS_LATENCY, 0, before_block=nothing)
    assert workers.pythons == [None, Path("/opt/tflite/bin/python")]
