"""Memory that cannot be had, within a real worker: the runtime's allocation, numpy's, and what runtimes say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steelyard_agent.block_runner import BlockOutcome, run_block
from steelyard_agent.runtimes import onnxruntime_errors, openvino_errors, tflite_errors
from steelyard_agent.worker.block import KIND_LATENCY, Block
from steelyard_agent.worker.failure import BlockStatus
from tests.support.models import enormous_model, linear_model


async def outcome_of(folder: Path, model: Path, **fields: Any) -> BlockOutcome:
    block = Block(kind=KIND_LATENCY, runtime_name="onnxruntime", model_path=str(model), **fields)
    return await run_block(block, timeout_s=60, memory_limit_bytes=None, work_dir=folder)


@pytest.mark.parametrize("arena", [True, False])
async def test_an_allocation_that_the_runtime_cannot_make_is_out_of_memory(tmp_path: Path, arena: bool) -> None:
    outcome = await outcome_of(tmp_path, enormous_model(tmp_path / "m.onnx"), runtime={"arena": arena})
    assert (outcome.status, outcome.reason) == (BlockStatus.OUT_OF_MEMORY, "allocation_failed")
    assert outcome.least_available_bytes
    assert f"the device had {outcome.least_available_bytes} bytes available at the least" in outcome.notes


async def test_an_allocation_that_numpy_cannot_make_is_out_of_memory(tmp_path: Path) -> None:
    shapes = {"input_shapes": {"x": [1 << 42, 4]}}
    outcome = await outcome_of(tmp_path, linear_model(tmp_path / "m.onnx"), runtime=shapes)
    assert (outcome.status, outcome.reason) == (BlockStatus.OUT_OF_MEMORY, "allocation_failed")


async def test_a_block_that_fares_well_tells_the_least_that_was_available(tmp_path: Path) -> None:
    outcome = await outcome_of(tmp_path, linear_model(tmp_path / "m.onnx"))
    assert outcome.status is BlockStatus.OK
    assert outcome.least_available_bytes
    assert not outcome.notes


@pytest.mark.parametrize(
    "failure",
    [
        onnxruntime_errors.explain_run(RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")),
        onnxruntime_errors.explain_load(RuntimeError("bad allocation"), Path("m.onnx"), "1.32.0", "CPU"),
        onnxruntime_errors.explain_run(RuntimeError("CUDA failure 2: out of memory ; GPU=0")),
        tflite_errors.explain_run(RuntimeError("std::bad_alloc"), "LiteRT 2.3.0"),
        tflite_errors.explain_load(RuntimeError("Failed to allocate 99 bytes"), Path("m.tflite"), "LiteRT 2.3.0"),
        openvino_errors.explain_run(RuntimeError("Exception from src/inference: std::bad_alloc")),
    ],
)
def test_what_runtimes_say_of_it_is_understood(failure: Any) -> None:
    assert failure is not None
    assert (failure.status, failure.reason) == (BlockStatus.OUT_OF_MEMORY, "allocation_failed")
