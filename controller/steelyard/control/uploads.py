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
from steelyard.tasks.checks import check_fits
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import materialise
from steelyard_protocol.v1 import control_pb2


@contextmanager
def prepared_model(path: Path) -> Iterator[InspectedArtifact]:
    """Check a model and yield it; external data is inlined into a work folder that lives as long as the context."""
    with tempfile.TemporaryDirectory(prefix="steelyard-") as work:
        yield read_artifact(path, work_dir=Path(work))


def prepared_task(path: Path, artifact: control_pb2.Artifact) -> tuple[control_pb2.Task, list[bytes]]:
    """Return a task materialised for an artifact's input, and the blobs that it names.

    Raises:
        TaskError: The task cannot be read or does not fit the model; the message names what differs.
    """
    loaded = load_task(path)
    made = materialise(loaded, check_fits(loaded, artifact.signature))
    blobs = [made.evaluation_bytes, made.labels_bytes]
    task = control_pb2.Task(
        name=loaded.name,
        licence=loaded.licence,
        metric=loaded.metric,
        evaluation_digest=_digest(made.evaluation_bytes),
        evaluation_sample_count=made.evaluation_sample_count,
        evaluation_size_bytes=len(made.evaluation_bytes),
        labels_digest=_digest(made.labels_bytes),
        input_name=made.input_name,
        class_names=loaded.class_names,
        preprocessing_json=json.dumps(asdict(loaded.preprocess)) if loaded.preprocess is not None else "",
    )
    if loaded.preprocess is not None:
        task.stored_dtype = loaded.evaluation_inputs.dtype.name
        task.stored_shape.sizes.extend(loaded.evaluation_inputs.shape[1:])
    if made.calibration_bytes is not None:
        blobs.append(made.calibration_bytes)
        task.calibration_digest = _digest(made.calibration_bytes)
        task.calibration_sample_count = made.calibration_sample_count
    return task, blobs


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
