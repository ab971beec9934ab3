"""Recipes that train, run as the compression process runs them, on two classes of small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from steelyard.compress.evaluation import EvaluationSet
from steelyard.compress.latency import LatencyOracle
from steelyard.compress.learning import Learning
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import Scoring, compress
from tests.controller.train.loop.small_trainings import stripes
from tests.support.models import conv_model

SHORT = "epochs=4,batch_size=24,learning_rate=0.02,augment=flip"


def model(folder: Path, name: str = "model.onnx", **sizes: int) -> Path:
    """Write an untrained network for the pictures."""
    return conv_model(folder / name, **{"channels": 8, "size": 8, "classes": 2, "depth": 2, **sizes})


def evaluation_samples() -> EvaluationSet:
    """Return samples that nothing learns from."""
    found = stripes(200, seed=2)
    return EvaluationSet(split="evaluation", metric=found.metric, data=found.data, truth=found.truth)


def run(
    path: Path,
    recipe: str,
    *,
    seed: int = 3,
    labelled: bool = True,
    artifacts: Mapping[str, Path] | None = None,
    checkpoints: Path | None = None,
    progress=None,
    latency: LatencyOracle | None = None,
    processor_features: tuple[str, ...] = (),
) -> CompressionResult:
    """Run a recipe with training samples, scored on others."""
    return compress(
        path,
        load_recipe(recipe),
        calibration=None,
        seed=seed,
        processor_features=processor_features,
        out_dir=path.parent / "out",
        progress=progress,
        scoring=Scoring(reported=evaluation_samples()),
        latency=latency,
        learning=Learning(
            training=stripes(labelled=labelled), artifacts=artifacts or {}, checkpoints=checkpoints, training_digest="t"
        ),
    )


def score(result: CompressionResult, step: int = -1) -> float:
    """Return what the model scored after a step."""
    return result.lineage.steps[step].evaluation.value


def outputs(path: Path) -> np.ndarray:
    """Return what a model answers to the evaluation samples."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    data = evaluation_samples().data
    return session.run(None, data.feed(0, data.sample_count))[0]
