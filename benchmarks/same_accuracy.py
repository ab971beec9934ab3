"""The same models and data through `steelyard measure` and through plain onnxruntime in a script, sample by sample."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.demo.run import DEMO_MODELS, DEMO_RECIPES, assets
from steelyard_protocol.v1 import result_pb2

NAME = "same_accuracy"
ROUND_COUNT = 1
SETTINGS = {"recipes": list(DEMO_RECIPES), "samples": 2000}


async def measure(round_count: int) -> None:
    """Evaluate until ``round_count`` evaluations are in the results file; one says all."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    for _ in counted(NAME, len(results.rounds(key)), round_count):
        results.append(key, await asyncio.to_thread(_evaluate))


def _evaluate() -> dict[str, dict[str, int]]:
    from steelyard.control.connect import connect
    from steelyard.control.energy_plan import EnergyOptions
    from steelyard.control.plans import MeasurementOptions
    from steelyard.settings import Settings

    options = MeasurementOptions(
        min_round_count=3, max_round_count=3, sample_window_ms=20, energy=EnergyOptions(round_count=0)
    )
    figures = {}
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        settings = Settings(state_directory=Path(work) / "state", agent_listen="127.0.0.1:0")
        with connect(settings=settings) as client:
            for name in DEMO_MODELS:
                original = client.add_model(assets() / f"{name}.onnx")
                task = client.add_task(assets() / "fashion_mnist.toml", original)
                variants = [original]
                for recipe in DEMO_RECIPES:
                    made = client.compress(original, recipe, task=task, device="local")
                    made.wait()
                    variants.append(made.variant())
                job = client.measure(variants, task=task, options=options)
                job.wait()
                answers = {
                    block.artifact_digest: np.load(_as_file(client.download(block.outputs_digest)))["argmax"]
                    for one in client.rounds(job.job_id)
                    for block in one.blocks
                    if one.pass_kind == result_pb2.PASS_EVALUATION
                }
                for variant in variants:
                    plain, labels = _plain_answers(client.download(variant.digest))
                    device = answers[variant.digest]
                    figures[f"{name} {variant.lineage.recipe_name or 'original'}"] = {
                        "plain_correct": int((plain == labels).sum()),
                        "device_correct": int((device == labels).sum()),
                        "different_answers": int((plain != device).sum()),
                        "samples": int(labels.size),
                    }
    return figures


def _plain_answers(model: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes that a plain script gets, one image at a time, and the labels."""
    import onnxruntime

    with np.load(assets() / "fashion_mnist.npz") as data:
        images = ((data["x_eval"] / 255 - 0.2860) / 0.3530)[:, None].astype(np.float32)
        labels = data["y_eval"].astype(np.int64)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.array([session.run(None, {"image": image[None]})[0].argmax() for image in images]), labels


def _as_file(data: bytes) -> BinaryIO:
    import io

    return io.BytesIO(data)


def table() -> Table | None:
    """Return the figures of the latest evaluation."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    figures = run.rounds[-1]
    different = sum(one["different_answers"] for one in figures.values())
    answers = sum(one["samples"] for one in figures.values())
    return Table(
        title="Accuracy through the agent and through a plain script",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "The shipped models, their variants and all shipped test images, through `steelyard measure` on the device "
            "`local` and through a loop over `onnxruntime.InferenceSession.run` in one process; answers are compared "
            "sample by sample."
        ),
        run=run,
        head=["model", "plain script: correct", "on the device: correct", "answers that differ"],
        rows=[
            [
                name,
                f"{one['plain_correct']} of {one['samples']}",
                f"{one['device_correct']} of {one['samples']}",
                str(one["different_answers"]),
            ]
            for name, one in figures.items()
        ],
        verdicts=[
            (
                f"{'missed' if different else 'met'}. Target: the same answers to the last sample; "
                f"{different} of {answers} differ."
            )
        ],
    )
