"""Models and data that are small enough for an emulated processor, and what their outputs differ by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import compress
from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.uploads import prepared_model, prepared_task
from steelyard.demo.run import assets
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2
from tests.arm import tflite_classifiers
from tests.arm.emulated_agent import EmulatedAgent

SAMPLE_COUNT = 60
# 7-bit weights: x86 without VNNI adds u8 times s8 in 16 bits and saturates, and would be the one that is wrong.
_ANY_X86 = ("avx2",)

_differences: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoo:
    """A task for each layout, its images float32 [N, 28, 28] and labels, and models by name."""

    onnx_task: Path
    tflite_task: Path
    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    models: dict[str, Path]
    tflite_step: float


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """A float and an int8 model for each runtime, made for the shipped images."""
    folder = tmp_path_factory.mktemp("zoo")
    with np.load(assets() / "fashion_mnist.npz", allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    for name in ("x_eval", "y_eval"):
        arrays[name] = arrays[name][:SAMPLE_COUNT]
    np.savez(folder / "fashion_mnist.npz", **arrays)
    text = (assets() / "fashion_mnist.toml").read_text()
    (folder / "onnx.toml").write_text(text)
    (folder / "tflite.toml").write_text(text.replace('"NCHW"', '"NHWC"'))
    shown = _normalised(arrays["x_calib"])[..., None]
    layers = tflite_classifiers.fit(shown, arrays["y_calib"])
    float_onnx = assets() / "fashion_mobilenet.onnx"
    calibration = _calibration(float_onnx, folder / "onnx.toml")
    return Zoo(
        onnx_task=folder / "onnx.toml",
        tflite_task=folder / "tflite.toml",
        images=_normalised(arrays["x_eval"]),
        labels=arrays["y_eval"],
        models={
            "onnx float": float_onnx,
            "onnx static int8": _variant(float_onnx, "static-int8", calibration, folder),
            "onnx dynamic int8": _variant(float_onnx, "dynamic-int8", None, folder),
            "tflite float": tflite_classifiers.write_float(folder / "float.tflite", layers),
            "tflite int8": tflite_classifiers.write_int8(folder / "int8.tflite", layers, shown),
        },
        tflite_step=tflite_classifiers.output_step(layers, shown),
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A controller in this process."""
    settings = Settings(state_directory=tmp_path_factory.mktemp("controller"), agent_listen="127.0.0.1:0")
    with connect(settings=settings) as connected:
        yield connected


@pytest.fixture(scope="module")
def agent(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAgent]:
    """An agent on an emulated board, connected to ``client``."""
    agent = EmulatedAgent(client, tmp_path_factory.mktemp("board"))
    agent.start()
    yield agent
    agent.end()
    assert "Traceback" not in agent.log


@pytest.fixture(scope="session")
def differences() -> list[str]:
    """Lines that end the report of these tests."""
    return _differences


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _differences:
        terminalreporter.section("outputs beside those of this machine")
        for line in _differences:
            terminalreporter.write_line(line)


def _normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return ((images / 255.0 - 0.2860) / 0.3530).astype(np.float32)


def _calibration(model: Path, task_path: Path) -> bytes:
    with prepared_model(model) as prepared:
        task, blobs = prepared_task(task_path, control_pb2.Artifact(signature=prepared.signature))
    return next(blob for blob in blobs if hashlib.sha256(blob).hexdigest() == task.calibration_digest)


def _variant(model: Path, recipe: str, calibration: bytes | None, folder: Path) -> Path:
    return compress(
        model,
        load_recipe(recipe),
        calibration=calibration,
        seed=0,
        processor_features=_ANY_X86,
        out_dir=folder / "variants",
    ).path
