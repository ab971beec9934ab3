"""A PC with an NVIDIA GPU: providers with placement, and the GPU's energy by its power and by its own counter.

No GPU is needed. One test replays the meters in no time; the other runs the whole round with real processes over a
library of NVML and a build of ONNX Runtime with set answers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from math import floor
from pathlib import Path

import pytest

from steelyard.analysis.variant_rounds import collect
from steelyard_protocol.v1 import common_pb2, result_pb2
from tests.agent.families.replay import LEAD_S, Trace, measure
from tests.agent.families.test_family_replay import energies, measured
from tests.support import models
from tests.support.fake_sysfs import FakeSysfs, load_tree
from tests.support.nvml_fakes import FakeGpu, FakeNvml, build_fake_library, live_energy_j

REPOSITORY = Path(__file__).parents[3]
H100 = FakeGpu(power_mw=310_000)
A100 = FakeGpu(name="NVIDIA A100-SXM4-80GB", uuid="GPU-a100", architecture=7, power_mw=240_000)
WINDOW_S, IDLE_W, LOAD_W = 64.0, 70.0, 350.0
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


def energy_j(seconds: float) -> float:
    """Return what a GPU took until a time of the replay: idle before and after the window, load within it."""
    return IDLE_W * seconds + (LOAD_W - IDLE_W) * min(max(seconds - LEAD_S, 0.0), WINDOW_S)


async def test_power_that_is_averaged_agrees_with_the_gpus_own_counter(tmp_path, monkeypatch):
    tree = load_tree("n100", tmp_path / "tree")
    tree.write("/dev/nvidia0", "")
    fake = FakeNvml(H100, A100)
    monkeypatch.setitem(sys.modules, "pynvml", fake)

    def drive(_tree: FakeSysfs, seconds: float) -> None:
        renewed = floor(seconds * 10) / 10
        counted_mj = 9_000_000 + round(energy_j(renewed) * 1000)
        average_mw = round((energy_j(renewed) - energy_j(renewed - 1)) * 1000)
        instant_mw = round((LOAD_W if LEAD_S <= seconds < LEAD_S + WINDOW_S else IDLE_W) * 1000)
        fake.gpus = [
            replace(H100, energy_mj=counted_mj, power_mw=average_mw),
            replace(A100, energy_mj=counted_mj, power_mw=instant_mw),
        ]

    trace = Trace(drive=drive, window_s=WINDOW_S)
    block = await measure(tree, trace, tmp_path, monkeypatch)
    on_gpus = [one for one in energies(block) if one.scope == common_pb2.READING_SCOPE_GPU_BOARD]
    assert [one.kind for one in on_gpus] == [common_pb2.READING_KIND_COUNTER, common_pb2.READING_KIND_SAMPLED] * 2
    expected_j = LOAD_W * WINDOW_S / trace.inference_count
    for counter, power in (on_gpus[:2], on_gpus[2:]):
        assert measured(counter), counter.reason
        assert measured(power), power.reason
        assert counter.value == pytest.approx(expected_j, rel=0.01)
        assert power.value == pytest.approx(counter.value, rel=0.01)
    # What covers the processor's package is told beside it, and never added to it.
    assert common_pb2.READING_SCOPE_SOC in {one.scope for one in energies(block)}
    assert fake.open_count == 0


def run_round(folder: Path, gpu: FakeGpu, live: str, *providers: str) -> result_pb2.BlockResult:
    tree = FakeSysfs(folder / "tree")
    tree.write("/dev/nvidia0", "")
    model = models.conv_model(folder / "model.onnx", depth=2)
    out = folder / "block.pb"
    subprocess.run(
        [sys.executable, "-m", "tests.support.nvidia_round", str(tree.root), str(model), str(out), ",".join(providers)],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(build_fake_library(folder)),
            "NVML_GPUS": gpu.line(),
            "NVML_LIVE": live,
            "PYTHONPATH": str(REPOSITORY / "tests" / "support" / "onnxruntime_gpu"),
        },
        cwd=REPOSITORY,
        check=True,
        timeout=120,
    )
    return result_pb2.BlockResult.FromString(out.read_bytes())


@pytest.mark.parametrize(
    ("gpu", "live", "providers"), [(H100, "average", (CUDA,)), (A100, "instant", (TENSORRT, CUDA))]
)
def test_a_whole_round_tells_where_nodes_ran_and_joules_by_power_and_counter(tmp_path, gpu, live, providers):
    block = run_round(tmp_path, gpu, live, *providers)
    assert block.status == result_pb2.BLOCK_STATUS_OK, block.error.message
    placed = {one.provider: one.node_count for one in block.placements}
    assert list(placed) == list(providers)
    assert all(placed.values())
    window = block.energy_window
    answer_j = live_energy_j(gpu, window.start_ns, window.end_ns) / window.inference_count
    counter, power = energies(block)
    assert [counter.kind, power.kind] == [common_pb2.READING_KIND_COUNTER, common_pb2.READING_KIND_SAMPLED]
    for reading in (counter, power):
        assert measured(reading), reading.reason
        # Within 4 s a counter that is renewed every 100 ms and read late by a busy machine tells no better; the replay
        # above, whose samples are never late, holds 1 %.
        assert reading.value == pytest.approx(answer_j, rel=0.03)
        assert reading.scope == common_pb2.READING_SCOPE_GPU_BOARD
        assert reading.resolution > 0
        assert gpu.name in reading.source
    # The controller takes the counter: the agent names it first.
    round_result = result_pb2.RoundResult(pass_kind=result_pb2.PASS_ENERGY, blocks=[block])
    estimate = collect([round_result], ["a"])["a"].estimate("energy", size_bytes=1)
    assert estimate.value == pytest.approx(counter.value)


def test_a_node_that_tensorrt_leaves_over_ends_the_block_unless_it_was_allowed(tmp_path):
    block = run_round(tmp_path, H100, "average", TENSORRT)
    assert block.status == result_pb2.BLOCK_STATUS_FALLBACK
    assert "of 7 nodes, 6 on TensorrtExecutionProvider, 1 on CUDAExecutionProvider" in block.error.message
    assert not [one for one in energies(block) if measured(one)]
