"""The worker's evaluation on emulated processors against the same on this one: every output of every sample."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from steelyard_agent.block_runner import run_block
from steelyard_agent.worker.block import KIND_EVALUATION, Block
from tests.arm.conftest import Zoo
from tests.arm.emulated_agent import PROCESSORS, arm_python

MODELS = ("onnx float", "onnx static int8", "onnx dynamic int8", "tflite float", "tflite int8")
# Sums in another order: a few units in the last place of float32 over some thousand terms.
FLOAT_TOLERANCE = 1e-5
# Float at its ends, 8 bits inside: one activation on the other side of a rounding edge moves the output a little.
DYNAMIC_TOLERANCE = 1e-2


def outputs(model: Path, zoo: Zoo, folder: Path, python: Path | None = None) -> NDArray[np.float32]:
    """Evaluate a model in a worker, with the interpreter ``python`` (this machine's by default), unreduced."""
    is_onnx = model.suffix == ".onnx"
    data, out = folder / "data.npz", folder / "out.npz"
    np.savez(data, **{"image.values": zoo.images[:, None] if is_onnx else zoo.images[..., None]})
    block = Block(
        kind=KIND_EVALUATION,
        runtime_name="onnxruntime" if is_onnx else "litert",
        model_path=str(model),
        data_path=str(data),
        reducer="full",
        output_path=str(out),
    )
    outcome = asyncio.run(run_block(block, timeout_s=120, memory_limit_bytes=None, python=python, work_dir=folder))
    assert outcome.result is not None, outcome.message
    assert outcome.result.sample_count == len(zoo.images)
    with np.load(out) as arrays:
        (values,) = arrays.values()
    return values


@pytest.fixture(scope="module")
def native(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float32]]:
    """What this machine answers."""
    return {name: outputs(zoo.models[name], zoo, tmp_path_factory.mktemp("native")) for name in MODELS}


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("name", MODELS)
def test_an_emulated_processor_answers_within_the_rounding_of_its_kernels(
    name: str,
    processor: str,
    zoo: Zoo,
    native: dict[str, NDArray[np.float32]],
    tmp_path: Path,
    differences: list[str],
) -> None:
    expected = native[name]
    found = outputs(zoo.models[name], zoo, tmp_path, arm_python(processor))
    assert found.shape == expected.shape == (len(zoo.images), 10)
    largest = float(np.abs(found - expected).max())
    agreement = float((found.argmax(axis=-1) == expected.argmax(axis=-1)).mean())
    differences.append(
        f"{processor} {name:<17} largest difference {largest:.3g} ({largest / np.ptp(expected):.2g} of the range)"
        f"{_in_steps(largest, name, zoo)}, same class for {100 * agreement:.4g} %"
    )
    assert largest <= allowed(name, expected, zoo)
    assert agreement >= 0.98


def allowed(name: str, expected: NDArray[np.float32], zoo: Zoo) -> float:
    """Return the largest difference that rounding explains."""
    step = output_step(name, zoo)
    if step is not None:
        # One step, and the float arithmetic of multiplying by it.
        return step * 1.001
    share = DYNAMIC_TOLERANCE if "int8" in name else FLOAT_TOLERANCE
    return share * float(np.abs(expected).max())


def output_step(name: str, zoo: Zoo) -> float | None:
    """Return the scale of a model's 8-bit output, None where the output is computed in float."""
    # Static int8 of ONNX leaves the sums of its last product in float: nothing behind it reads 8 bits.
    return zoo.tflite_step if name == "tflite int8" else None


def _in_steps(largest: float, name: str, zoo: Zoo) -> str:
    step = output_step(name, zoo)
    return "" if step is None else f", {largest / step:.3g} steps"


def test_the_models_are_right_more_often_than_not(zoo: Zoo, native: dict[str, NDArray[np.float32]]) -> None:
    for name in MODELS:
        assert (native[name].argmax(axis=-1) == zoo.labels).mean() > 0.5, name
