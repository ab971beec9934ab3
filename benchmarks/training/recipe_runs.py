"""Run recipes that train as the product runs them, and keep which evaluation samples each model answers right."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.kernels import kernels_of
from benchmarks.progress import say
from benchmarks.results_file import span_since
from benchmarks.training.training_tasks import TrainedModel
from steelyard.compress.evaluation import EvaluationSet, HostEvaluator

ORIGINAL = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is made of a model: by the text of a recipe, or by a peer.

    ``start`` writes the model that the recipe starts from, given the original one; it is part of what is compared.
    ``peer`` writes the file itself, given the original, the samples to learn from, a seed and the file; ``recipe`` then
    says in words with which settings. Recipes may name the original as a teacher ("original"). One that begins with the
    steps of another goes on from what that kept, ``after`` it.
    """

    name: str
    recipe: str
    start: Callable[[Path, Path], None] | None = None
    peer: Callable[[Path, EvaluationSet, int, Path], None] | None = None
    after: str = ""

    def __post_init__(self) -> None:
        """Refuse a recipe of the model as it came, and a variant without one."""
        if (self.name == ORIGINAL) != (not self.recipe):
            raise ValueError(f"{self.name!r} has the recipe {self.recipe!r}; only the {ORIGINAL} has none")


class RecipeRuns:
    """Recipes on one model with its task. An interrupted training goes on in the epoch where it was."""

    def __init__(self, model: TrainedModel, folder: Path) -> None:
        """Read the task; what is made is kept in ``folder``.

        Raises:
            SteelyardError: the model or the task cannot be read, or they do not fit.
        """
        from steelyard.artifacts import read_artifact
        from steelyard.compress.calibration import read_calibration
        from steelyard.tasks.checks import check_fits
        from steelyard.tasks.load import load_task
        from steelyard.tasks.materialise import materialise

        folder.mkdir(parents=True, exist_ok=True)
        task = load_task(model.task)
        made = materialise(task, check_fits(task, read_artifact(model.model, work_dir=folder).signature))

        def chosen(name: str) -> EvaluationSet:
            inputs = getattr(made, name).inputs
            truth = getattr(task, name).truth
            return EvaluationSet(split=name, metric=task.metric, data=read_calibration(inputs), truth=truth)

        self.model = model
        self._folder = folder
        self._calibration = made.calibration.inputs if made.calibration is not None else None
        self._training, self._validation = chosen("training"), chosen("validation")
        self._evaluator = HostEvaluator(
            chosen("evaluation"), parent_path=model.model, model_format="onnx", progress=lambda what, done, total: None
        )

    def file(self, variant: str, seed: int) -> Path:
        """Return where a variant's file is kept."""
        return file_of(self.model, self._folder, variant, seed)

    def make(self, variant: Variant, seed: int) -> dict[str, Any]:
        """Write a variant's file and return what it is and what it answers; nothing is written of the original.

        Raises:
            SteelyardError: the recipe cannot be run.
        """
        begun_s = time.time()
        notes = [] if variant.name == ORIGINAL else self._write(variant, seed)
        found = self.described(variant.name, seed)
        return {**span_since(begun_s), "notes": notes, **found}

    def _write(self, variant: Variant, seed: int) -> list[str]:
        """Write a variant's file and return what the steps of its recipe told."""
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
        file = self.file(variant.name, seed)
        if variant.peer is not None:
            variant.peer(self.model.model, self._training, seed, file)
            return []
        return self._compressed(variant, seed, file)

    def _compressed(self, variant: Variant, seed: int, file: Path) -> list[str]:
        """Run the recipe of a variant and return what its steps told."""
        from steelyard.compress.learning import Learning
        from steelyard.compress.recipe_text import load_recipe
        from steelyard.compress.run import Scoring, compress
        from steelyard_agent.processor import parse_cpuinfo

        result = compress(
            self._start_of(variant),
            load_recipe(variant.recipe),
            calibration=self._calibration,
            seed=seed,
            processor_features=parse_cpuinfo(Path("/proc/cpuinfo").read_text()).features,
            out_dir=self._folder / "made",
            progress=lambda what, done, total: say(f"{variant.name}, seed {seed}: {what} {done}/{total}"),
            scoring=Scoring(chosen_by=self._validation),
            learning=Learning(
                training=self._training,
                artifacts={ORIGINAL: self.model.model},
                checkpoints=self._folder / "checkpoints",
                training_digest=self._training.data.digest,
                choice_digest=self._validation.data.digest,
            ),
        )
        shutil.move(result.path, file)
        return [note for step in result.lineage.steps for note in step.notes]

    def described(self, variant: str, seed: int) -> dict[str, Any]:
        """Return costs and answers of a variant's file."""
        path = self.file(variant, seed)
        correct = self._evaluator.answers(path).correct  # type: ignore[attr-defined]
        return {
            "file_bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **costs(path),
            "kernels": dataclasses.asdict(kernels_of(path)),
            "score": float(correct.mean()),
            "count": int(correct.size),
            "correct": packed(correct),
        }

    def _start_of(self, variant: Variant) -> Path:
        if variant.start is None:
            return self.model.model
        start = self._folder / f"{variant.name.replace(' ', '_')}-start.onnx"
        if not start.is_file():
            # Another seed may begin beside this one.
            fresh = start.with_suffix(f".{os.getpid()}.onnx")
            variant.start(self.model.model, fresh)
            fresh.replace(start)
        return start


def file_of(model: TrainedModel, folder: Path, variant: str, seed: int) -> Path:
    """Return where the file of a variant is kept in ``folder``; the original stays where it is."""
    return model.model if variant == ORIGINAL else folder / f"{variant.replace(' ', '_')}-{seed}.onnx"


def costs(path: Path) -> dict[str, float | None]:
    """Return the multiply-accumulates of a sample and the parameters of a float file; None for a quantized one."""
    from steelyard.errors import SteelyardError
    from steelyard.train.lift import lift_checked
    from steelyard.train.prune.costs import COSTS

    try:
        lifted = lift_checked(path)
    except SteelyardError:
        return dict.fromkeys(COSTS)
    return {name: cost(lifted) for name, cost in COSTS.items()}


def packed(correct: NDArray[np.bool_]) -> str:
    """Return answers as text, eight a byte."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpacked(text: str, count: int) -> NDArray[np.bool_]:
    """Return what ``packed`` was given."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).astype(np.bool_)
