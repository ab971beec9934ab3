"""The models of the compression benchmarks, each with a task file as users write it.

Models and data of others lie in the folder that STEELYARD_BENCH_MODELS names (`models/`, `data/`); the demo's are with
the project. Task files are written into a cache folder (STEELYARD_BENCH_CACHE, else the user's), never beside a model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.compression import (
    detector,
    fashion,
    labelled_tasks,
    minilm,
    score_heads,
    shared_models,
    task_files,
    unlabelled_tasks,
)
from benchmarks.compression.task_files import DATA_FILE, SPLITS, TASK_FILE, TaskData, prepared, split_counts, write_task
from steelyard.demo.run import assets

MODELS_VARIABLE = "STEELYARD_BENCH_MODELS"
CACHE_VARIABLE = "STEELYARD_BENCH_CACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchModel:
    """A model with its task.

    ``task`` is a task TOML with calibration samples; ``metric`` is its metric's kind ("top1", "auc"). ``about`` says
    in a sentence what the model or its data is and how far its figure can be trusted. A count is that of samples.
    """

    name: str
    model: Path
    task: Path
    metric: str
    evaluation_count: int
    calibration_count: int
    validation_count: int
    about: str

    def __post_init__(self) -> None:
        """Refuse a task with nothing to evaluate on."""
        if self.evaluation_count < 1:
            raise ValueError(f"{self.task} has {self.evaluation_count} evaluation samples; prepare it anew")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedModel:
    """A model that is not here, and how to get it."""

    name: str
    reason: str


def bench_models(only: str = "") -> list[BenchModel]:
    """Return every model that is here, with its task prepared; ``only`` restricts to one name.

    Raises:
        OSError: a cache folder that cannot be written.
    """
    return [found for found in _found(only) if isinstance(found, BenchModel)]


def skipped_models() -> list[SkippedModel]:
    """Return the models that are not here, each with the reason."""
    return [found for found in _found("") if isinstance(found, SkippedModel)]


def cache_folder() -> Path:
    """Return where task files and converted models are kept."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("steelyard-bench"))


def _found(only: str) -> Iterator[BenchModel | SkippedModel]:
    for definition in shared_models.DEFINITIONS:
        if only in ("", definition.name):
            yield _shared(definition)
    for name, about in fashion.MODELS.items():
        if only in ("", name):
            yield _fashion(name, about)
    if only in ("", detector.FOLDER):
        yield _detector()
    if only in ("", minilm.FOLDER):
        yield _minilm()
    for name, reason in shared_models.UNFIT.items():
        if only in ("", name):
            yield SkippedModel(name=name, reason=reason)


def shared_files(definition: shared_models.Definition) -> tuple[Path, Path] | SkippedModel:
    """Return the model and the data of a definition, or why they are not here."""
    named = os.environ.get(MODELS_VARIABLE)
    if not named:
        return SkippedModel(
            name=definition.name, reason=f"{MODELS_VARIABLE} is not set; name the folder that holds models/ and data/"
        )
    model, data = Path(named) / "models" / definition.model, Path(named) / "data" / definition.data
    missing = next((path for path in (model, data) if not path.is_file()), None)
    if missing is not None:
        return SkippedModel(name=definition.name, reason=f"there is no file {missing}; add it")
    return model, data


def _shared(definition: shared_models.Definition) -> BenchModel | SkippedModel:
    files = shared_files(definition)
    if isinstance(files, SkippedModel):
        return files
    model, data = files

    def task() -> TaskData:
        with np.load(data, allow_pickle=False) as archive:
            return definition.task({name: archive[name] for name in archive.files})

    sources = (data, Path(labelled_tasks.__file__), Path(unlabelled_tasks.__file__))
    return _with_task(definition.name, _derived(definition, model), definition.about, task, sources)


def _derived(definition: shared_models.Definition, model: Path) -> Path:
    derive = definition.derive
    if derive is None:
        return model
    name = f"{definition.name}{model.suffix}"
    sources = (model, Path(score_heads.__file__))
    return (
        prepared(cache_folder(), f"{definition.name}-model", sources, lambda folder: derive(model, folder / name))
        / name
    )


def _fashion(name: str, about: str) -> BenchModel:
    shipped = assets() / "fashion_mnist.npz"
    debian = sorted(fashion.DEBIAN_FOLDER.glob("t10k-*.gz"))
    sources = (shipped, *debian, Path(fashion.__file__))

    def task() -> TaskData:
        return fashion.fashion_task(shipped, fashion.DEBIAN_FOLDER)

    return _with_task(name, assets() / f"{name}.onnx", about, task, sources)


def _detector() -> BenchModel | SkippedModel:
    folder = cache_folder() / detector.FOLDER
    model, arrays = folder / detector.MODEL_FILE, folder / detector.ARRAYS_FILE
    if not (model.is_file() and arrays.is_file()):
        reason = f"there is no file {model}; train it: {detector.COMMAND} --output {folder}"
        return SkippedModel(name=detector.FOLDER, reason=reason)
    sources = (arrays, Path(detector.__file__))
    return _with_task(detector.FOLDER, model, detector.ABOUT, lambda: detector.detector_task(arrays), sources)


def _minilm() -> BenchModel | SkippedModel:
    folder = cache_folder() / minilm.FOLDER
    model = folder / minilm.MODEL_FILE
    if not model.is_file():
        return SkippedModel(name=minilm.FOLDER, reason=f"there is no file {model}; make it: {minilm.COMMAND}")
    return _described(minilm.FOLDER, model, folder, minilm.ABOUT)


def _with_task(
    name: str, model: Path, about: str, task: Callable[[], TaskData], sources: tuple[Path, ...]
) -> BenchModel:
    sources = (*sources, Path(task_files.__file__))
    folder = prepared(cache_folder(), name, sources, lambda folder: write_task(folder, name, task()))
    return _described(name, model, folder, about)


def _described(name: str, model: Path, folder: Path, about: str) -> BenchModel:
    import tomllib

    content = tomllib.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
    if "source" in content:
        counts = {split: content["source"].get(f"{split}_count", 0) for split in SPLITS}
    else:
        counts = split_counts(folder / DATA_FILE)
    return BenchModel(
        name=name,
        model=model,
        task=folder / TASK_FILE,
        metric=content["metric"]["kind"],
        evaluation_count=counts["evaluation"],
        calibration_count=counts["calibration"],
        validation_count=counts["validation"],
        about=about,
    )


def _score(found: BenchModel) -> str:
    import tempfile

    from benchmarks.compression.made_files import prepare

    with tempfile.TemporaryDirectory() as work:
        ready = prepare(found.model, found.task, Path(work))
        value = ready.evaluator.evaluate(ready.model_path)
    return f"{value.value:.4f} {value.unit}"


def main() -> None:
    """Prepare every model, and list what is here and what is not."""
    import argparse

    parser = argparse.ArgumentParser(description="Prepare the models of the compression benchmarks and list them.")
    parser.add_argument("--only", default="", help="one model by name")
    parser.add_argument("--score", action="store_true", help="run each model over its evaluation samples")
    arguments = parser.parse_args()
    print(f"{'model':20} {'metric':6} samples to evaluate / calibrate / choose by, task file")
    for found in _found(arguments.only):
        if isinstance(found, SkippedModel):
            print(f"{found.name:20} skipped: {found.reason}")
            continue
        counts = f"{found.evaluation_count}/{found.calibration_count}/{found.validation_count}"
        score = f" {_score(found)}" if arguments.score else ""
        print(f"{found.name:20} {found.metric:6} {counts:14}{score} {found.task}", flush=True)


if __name__ == "__main__":
    main()
