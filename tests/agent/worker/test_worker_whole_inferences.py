"""Samples that are all that one inference takes: states and scalars, which have no batch first, are fed as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard_agent.worker import block as kinds
from steelyard_agent.worker.block import Block, Timing, WorkerResult
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.failure import BlockFailure
from steelyard_agent.worker.opening import open_runtime
from steelyard_agent.worker.shapes import holds_whole_inferences
from tests.controller.compress.parts.planted import CLASS_COUNT, RATE, WIDTH, Planted

_QUICK = Timing(sample_window_ms=5, warmup_window_ms=1, warmup_cap_ms=5)


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def _samples(count: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "token": rng.integers(0, CLASS_COUNT, (count, 1)),
        "state": rng.standard_normal((count, 2, 1, WIDTH)).astype(np.float32),
        "rate": np.full(count, RATE),
    }


def _run(planted: Planted, arrays: dict[str, np.ndarray], kind: str, **changes: object) -> WorkerResult:
    data = planted.folder / "data.npz"
    np.savez(data, **{f"{name}.values": array for name, array in arrays.items()}, whole=np.ones(1, np.uint8))
    block = Block(
        kind=kind,
        model_path=str(planted.folder / "decoder.onnx"),
        data_path=str(data),
        runtime_name="onnxruntime",
        timing=_QUICK,
        **changes,
    )
    return run_block(open_runtime(block, lambda phase: None))


def test_each_sample_is_one_inference_and_a_state_that_comes_out_one_row(planted: Planted) -> None:
    arrays, out = _samples(), planted.folder / "out.npz"
    result = _run(planted, arrays, kinds.KIND_EVALUATION, output_path=str(out), reducer="full")
    assert result.sample_count == 5
    logits, states = [], []
    for token, state in zip(arrays["token"], arrays["state"], strict=True):
        one, two = planted.step(token, state)
        logits.append(one)
        states.append(two)
    with np.load(out) as found:
        np.testing.assert_allclose(found["logits"], np.concatenate(logits), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["state_out"], np.stack(states), rtol=1e-4, atol=1e-5)


def test_a_timed_block_is_fed_with_the_first_one(planted: Planted) -> None:
    result = _run(planted, _samples(), kinds.KIND_LATENCY)
    assert result.input_source == "task data, sample 0"
    assert result.batch_size == 1
    assert result.sample_count > 0


def test_a_batch_cannot_be_made_of_them(planted: Planted) -> None:
    with pytest.raises(BlockFailure, match="all that one inference takes, and a batch of 4"):
        _run(planted, _samples(), kinds.KIND_LATENCY, batch_size=4)


@pytest.mark.parametrize(
    ("ranks", "is_whole"),
    [
        ({"x": 3, "s": 1}, True),
        ({"x": 2, "s": 1}, False),
        ({"x": 3}, True),
        ({"y": 3, "s": 1}, False),
        ({}, False),
    ],
)
def test_one_axis_more_than_each_input_tells_them(ranks: dict[str, int], is_whole: bool) -> None:
    inputs = [
        TensorSpec(name="x", dtype="float32", shape=("N", 3)),
        TensorSpec(name="s", dtype="int64", shape=()),
    ]
    assert holds_whole_inferences(ranks, inputs) is is_whole


def test_the_only_input_may_have_another_name() -> None:
    inputs = [TensorSpec(name="serving_x", dtype="float32", shape=(1, 3))]
    assert holds_whole_inferences({"x": 3}, inputs)
    assert not holds_whole_inferences({"x": 2}, inputs)
