"""An energy round on a machine with an NVIDIA GPU, in a process of its own: ``python -m`` this ROOT MODEL OUT NAMES.

Everything is real but the GPU: the round, the worker's process, the sampler's process, nvidia-ml-py. The environment
brings a library of NVML (``nvml_fakes``) and a build of ONNX Runtime (``onnxruntime_gpu``) with set answers, which can
only be done before a process starts. ``NAMES`` are providers with commas; OUT gets the block as it goes to the
controller.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

from steelyard_agent.block_runner import run_block
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.rounds import RoundRunner
from steelyard_agent.meters.contract import System
from steelyard_protocol.v1.result_pb2 import PASS_ENERGY, BlockResult
from tests.agent.jobs.fakes import FakeWorkers, plan_of, round_tools
from tests.support.fake_controller import digest_of

WINDOW_MS = 4000


async def _round(root: Path, model: Path, content: bytes, providers: list[str]) -> BlockResult:
    plan = plan_of(content)
    plan.energy.window_ms = WINDOW_MS
    # What is tested is not how busy this machine is.
    plan.timing.most_contention = 1.0
    runtime = plan.artifacts[0].runtime
    runtime.allow_fallback = len(providers) > 1
    for name in providers:
        runtime.providers.add(name=name)
    system = System(root=root, clock_ns=time.perf_counter_ns)
    tools = replace(
        round_tools(FakeWorkers(), model.parent / "work"),
        run_block=run_block,
        energy_watch=lambda cores: SamplerWatch(system, cores),
    )
    runner = RoundRunner(plan=plan, paths=BlobPaths(by_digest={digest_of(content): model}), tools=tools)

    async def nobody_listens(_blocks_done: int, _label: str) -> None:
        """The link is not part of this."""

    return (await runner.run(PASS_ENERGY, 0, before_block=nobody_listens)).blocks[0]


if __name__ == "__main__":
    _, root, model, out, names = sys.argv
    block = asyncio.run(_round(Path(root), Path(model), Path(model).read_bytes(), names.split(",")))
    Path(out).write_bytes(block.SerializeToString())
