"""Preparing what a client uploads: a checked model file, a materialised task."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from steelyard.artifacts import InspectedArtifact, read_artifact
from steelyard.plugins.conversion import converted
from steelyard.tasks.checks import check_fits
from steelyard.tasks.fixed import fixed_inputs
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import MaterialisedSplit, materialise
from steelyard.tasks.metrics.registry import metric_plugins, metric_settings_json
from steelyard.tasks.task import LoadedTask
from steelyard_protocol.v1 import control_pb2


@contextmanager
def prepared_model(path: Path) -> Iterator[InspectedArtifact]:
    """Check a model and yield it; external data is inlined into a work folder that lives as long as the context.

    A file of a plugin's format is converted first.
    """
    with tempfile.TemporaryDirectory(prefix="steelyard-") as work:
        yield read_artifact(converted(path, Path(work)), work_dir=Path(work))


def prepared_task(path: Path, artifact: control_pb2.Artifact) -> tuple[control_pb2.Task, list[bytes]]:
    """Return a task materialised for an artifact's inputs, and the blobs that it names.

    Raises:
        TaskError: The task cannot be read or does not fit the model; the message names what differs.
    """
    loaded = load_task(path)
    places = check_fits(loaded, artifact.signature)
    made = materialise(loaded, places, fixed=fixed_inputs(loaded, artifact.signature))
    task = _described(loaded)
    # Where data of one input is meant, that input is named; data of several says so itself.
    task.input_name = next(iter(places.values())) if len(places) == 1 else ""
    task.evaluation_sample_count = made.evaluation.sample_count
    task.evaluation_size_bytes = len(made.evaluation.inputs)
    blobs: list[bytes] = []
    task.evaluation_digest, task.labels_digest = _named(made.evaluation, blobs)
    if made.calibration is not None:
        task.calibration_digest, _ = _named(made.calibration, blobs)
        task.calibration_sample_count = made.calibration.sample_count
    if made.validation is not None:
        task.validation_digest, task.validation_labels_digest = _named(made.validation, blobs)
        task.validation_sample_count = made.validation.sample_count
    if made.training is not None:
        task.training_digest, task.training_labels_digest = _named(made.training, blobs)
        task.training_sample_count = made.training.sample_count
    return task, blobs


def _described(loaded: LoadedTask) -> control_pb2.Task:
    plugins = metric_plugins(loaded.metric)
    fixed = {"fixed": dict(loaded.fixed)} if loaded.fixed else {}
    told = {**loaded.drawn, **fixed, **({"metric_plugins": plugins} if plugins else {})}
    task = control_pb2.Task(
        name=loaded.name,
        licence=loaded.licence,
        metric=loaded.metric.kind,
        metric_settings_json=metric_settings_json(loaded.metric),
        class_names=loaded.class_names,
        source_json=json.dumps(told, sort_keys=True, default=str) if told else "",
    )
    if loaded.preprocess is not None:
        (stored,) = loaded.evaluation.inputs.values()
        task.preprocessing_json = json.dumps(asdict(loaded.preprocess))
        task.stored_dtype = stored.dtype.name
        task.stored_shape.sizes.extend(stored.shape[1:])
    return task


def _named(split: MaterialisedSplit, blobs: list[bytes]) -> tuple[str, str]:
    """Add the blobs of a split and return their digests, "" for truth that there is none of."""
    blobs.append(split.inputs)
    if split.truth is None:
        return _digest(split.inputs), ""
    blobs.append(split.truth)
    return _digest(split.inputs), _digest(split.truth)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
