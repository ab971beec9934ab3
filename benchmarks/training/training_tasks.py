"""Tasks with a training split: Fashion-MNIST from Debian's package, digits, windows of speech, and tweets for MiniLM.

  python -m benchmarks.training.training_tasks     makes the tweets' task (downloads vaderSentiment's source archive)

The quick configuration learns from 10,000 images; ``STEELYARD_BENCH_FULL=1`` takes all 60,000.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.compression import fashion, labelled_tasks, minilm, shared_models, task_files
from benchmarks.compression.bench_models import SkippedModel, cache_folder, shared_files
from benchmarks.compression.labelled_tasks import Arrays
from benchmarks.compression.task_files import TASK_FILE, Rows, TaskData, labelled, prepared, write_task
from benchmarks.latency_block import BlockError
from steelyard.demo.run import assets

FULL_VARIABLE = "STEELYARD_BENCH_FULL"
QUICK_COUNT = 10_000
TWEETS = "tweets_training"
COMMAND = "python -m benchmarks.training.training_tasks"
_SEED = 0
# Tweets of the held-out part, which the head of the model did not see: evaluation, then validation, then calibration.
_EVALUATION_COUNT, _VALIDATION_COUNT = 800, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model with a task to train it by; ``training_count`` samples are learnt from."""

    name: str
    model: Path
    task: Path
    training_count: int

    def __post_init__(self) -> None:
        """Refuse a task without samples to learn from."""
        if self.training_count < 1:
            raise ValueError(f"{self.task} has {self.training_count} training samples; prepare it anew")


def is_full() -> bool:
    """Return whether the full configuration was asked for."""
    return os.environ.get(FULL_VARIABLE, "") not in ("", "0")


def fashion_model(name: str, *, quick_count: int = QUICK_COUNT) -> TrainedModel:
    """Return a model of the demo with the images to train it by: ``quick_count``, or all in the full configuration.

    Raises:
        BlockError: Debian's package of Fashion-MNIST is not installed.
    """
    if not fashion.DEBIAN_FOLDER.is_dir():
        raise BlockError(f"there is no {fashion.DEBIAN_FOLDER}; sudo apt install dataset-fashion-mnist")
    count = 60_000 if is_full() else quick_count
    sources = (*sorted(fashion.DEBIAN_FOLDER.glob("*.gz")), assets() / "fashion_mnist.npz", Path(__file__))
    files = (*sources, Path(fashion.__file__), Path(task_files.__file__))
    name_of_task = f"fashion-{count}"
    folder = prepared(
        cache_folder(), name_of_task, files, lambda made: write_task(made, name_of_task, fashion_training(count))
    )
    learnt = task_files.split_counts(folder / task_files.DATA_FILE)["training"]
    return TrainedModel(name=name, model=assets() / f"{name}.onnx", task=folder / TASK_FILE, training_count=learnt)


def fashion_training(count: int) -> TaskData:
    """Return the test images as ``fashion.fashion_task`` divides them, and ``count`` of the 60,000 to learn from.

    Those that are among the test images, too, are left out, so that there may be fewer.
    """
    from steelyard.tasks.sources.idx import read_idx

    task = fashion.fashion_task(assets() / "fashion_mnist.npz", fashion.DEBIAN_FOLDER)
    images = read_idx(fashion.DEBIAN_FOLDER / "train-images-idx3-ubyte.gz")
    labels = read_idx(fashion.DEBIAN_FOLDER / "train-labels-idx1-ubyte.gz")
    # A handful of training images are test images, too.
    known = {one.tobytes() for one in task.splits["evaluation"].inputs[""]}
    order = np.random.default_rng(_SEED).permutation(len(images))
    chosen = np.array([at for at in order if images[at].tobytes() not in known][:count])
    training = labelled(images[chosen], labels[chosen])
    return _with_training(task, training)


def shared_model(name: str) -> TrainedModel:
    """Return a model of others, one of ``SHARED``, with samples of its task to train it by.

    Raises:
        BlockError: it is not here.
    """
    definition = next(one for one in shared_models.DEFINITIONS if one.name == name)
    files = shared_files(definition)
    if isinstance(files, SkippedModel):
        raise BlockError(files.reason)
    model, data = files

    def write(folder: Path) -> None:
        with np.load(data, allow_pickle=False) as archive:
            write_task(folder, name_of_task, SHARED[name]({one: archive[one] for one in archive.files}))

    name_of_task = f"{name}-training"
    sources = (data, Path(labelled_tasks.__file__), Path(task_files.__file__), Path(__file__))
    folder = prepared(cache_folder(), name_of_task, sources, write)
    learnt = task_files.split_counts(folder / task_files.DATA_FILE)["training"]
    return TrainedModel(name=name, model=model, task=folder / TASK_FILE, training_count=learnt)


def digits_training(arrays: Arrays) -> TaskData:
    """Return the digits' task; what neither calibrates nor validates is learnt from: 3,000."""
    task = labelled_tasks.digits(arrays)
    left = slice(2000, None)
    return _with_training(task, labelled(arrays["x_calib"][left], arrays["y_calib"][left]))


def speech_training(arrays: Arrays) -> TaskData:
    """Return the windows of speech, by their class; those that calibrate are learnt from, at 0 and at -5 dB."""
    task = labelled_tasks.speech(arrays)
    chosen = labelled_tasks.speech_calibration(arrays["x_0db"])
    windows = [arrays[name].reshape(-1, *arrays[name].shape[2:])[chosen] for name in ("x_0db", "x_minus5db")]
    labels = np.repeat(arrays["y_0db"], arrays["x_0db"].shape[1])[chosen]
    return dataclasses.replace(
        _with_training(task, labelled(np.concatenate(windows), np.tile(labels, len(windows)))), metric={"kind": "top1"}
    )


SHARED = {"digits": digits_training, "vad_teacher": speech_training, "vad_small": speech_training}


def _with_training(task: TaskData, training: Rows) -> TaskData:
    return dataclasses.replace(task, splits={**task.splits, "training": training})


def tweets_model() -> TrainedModel:
    """Return MiniLM with the tweets that its head was trained on, and others to score it by.

    Raises:
        BlockError: it was not made yet.
    """
    model, task = cache_folder() / minilm.FOLDER / minilm.MODEL_FILE, cache_folder() / TWEETS / TASK_FILE
    for path, command in ((model, minilm.COMMAND), (task, COMMAND)):
        if not path.is_file():
            raise BlockError(f"there is no file {path}; make it: {command}")
    counts = task_files.split_counts(task.with_name(task_files.DATA_FILE))
    return TrainedModel(name=minilm.FOLDER, model=model, task=task, training_count=counts["training"])


def write_tweets(packages: Path, folder: Path) -> None:
    """Write the tweets as arrays: the split by which the head was trained, and the held-out ones."""
    parts = minilm.divided_tweets(packages)
    tokenizer = cache_folder() / minilm.FOLDER / "tokenizer.json"

    def rows(tweets: list[minilm.Tweet], *, with_labels: bool = True) -> Rows:
        ids, mask = minilm.tokens(tokenizer, [one.text for one in tweets])
        truth = {"labels": np.array([one.is_positive for one in tweets], np.int64)} if with_labels else {}
        return Rows(inputs={minilm.IDS: ids, minilm.MASK: mask}, truth=truth)

    held_out, rest = parts.held_out, _EVALUATION_COUNT + _VALIDATION_COUNT
    task = TaskData(
        description="Polarity of tweets, by the sign of people's mean rating (vaderSentiment 3.3.2)",
        splits={
            "evaluation": rows(held_out[:_EVALUATION_COUNT]),
            "validation": rows(held_out[_EVALUATION_COUNT:rest]),
            "calibration": rows(held_out[rest:], with_labels=False),
            "training": rows(parts.training),
        },
        metric={"kind": "top1"},
        licence="MIT",
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_task(folder, TWEETS, task)


def main() -> None:
    """Download the tweets and write their task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="folder with the source archive, if it is here already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        packages = arguments.packages or Path(work)
        if arguments.packages is None:
            minilm.download_tweets(packages)
        write_tweets(packages, cache_folder() / TWEETS)
    print(cache_folder() / TWEETS / TASK_FILE)


if __name__ == "__main__":
    main()
