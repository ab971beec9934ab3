"""Steps applied to TFLite files, and files run, for the tests of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steelyard.compress.applying import apply_step
from steelyard.compress.calibration import CalibrationData, read_calibration
from steelyard.compress.contract import TFLITE, StepContext, StepReport
from steelyard.compress.tflite.flatbuffer_model import read_model
from steelyard.compress.tflite.graph import Graph
from steelyard.compress.tflite.sessions import open_session
from tests.controller.compress.inputs import packed_samples

IMAGE = (32, 32, 3)


def images(count: int = 12, seed: int = 0, shape: tuple[int, ...] = IMAGE, name: str = "image") -> CalibrationData:
    """Return drawn calibration data for ``tflite_nets.mobile_net``."""
    return read_calibration(packed_samples(count, shape, name, seed))


def applied(step: Any, model: Path, calibration: CalibrationData | None = None) -> tuple[Path, StepReport]:
    """Apply a step to a TFLite file as a recipe does, and return what it made with its report."""
    out = model.with_name(f"made-{model.name}")
    context = StepContext(
        work_dir=model.parent, progress=lambda message, done, total: None, calibration=calibration, model_format=TFLITE
    )
    return out, apply_step(step, model, out, context)


def outputs(model: Path, data: CalibrationData) -> np.ndarray:
    """Return the first output for each sample."""
    session = open_session(model)
    return np.concatenate([session.run(data.feed(start, start + 1))[0] for start in range(data.sample_count)])


def graph_of(path: Path) -> Graph:
    return Graph(read_model(path))


def kinds(path: Path) -> list[str]:
    """Return the names of the operators in their order."""
    graph = graph_of(path)
    return [graph.kind(operator) for operator in graph.operators]


def sqnr_db(expected: np.ndarray, found: np.ndarray) -> float:
    """Return the ratio of signal to quantization noise in decibels."""
    noise = float(((expected - found) ** 2).sum())
    return float(10 * np.log10(float((expected**2).sum()) / max(noise, 1e-30)))
