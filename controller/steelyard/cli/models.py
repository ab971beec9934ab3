"""Models on the command line: a file is added, anything else names what the controller has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.cli.follow import follow
from steelyard.errors import NotFoundError

if TYPE_CHECKING:
    from steelyard.compress.recipe import Recipe
    from steelyard.control.client import Client
    from steelyard.control.measurement_request import StepMeasuring
    from steelyard_protocol.v1 import control_pb2

_SUFFIXES = (".onnx", ".tflite")


def resolve_model(client: Client, text: str) -> control_pb2.Artifact:
    """Return the artifact that ``text`` means: a file, a digest or the beginning of one, or a name."""
    path = Path(text)
    if path.exists() or path.suffix.lower() in _SUFFIXES or "/" in text:
        return client.add_model(path)
    try:
        return client.artifact(text)
    except NotFoundError as error:
        raise NotFoundError(error.reason, f"{error}; nor is {text!r} a file here") from None


def known_model(client: Client, text: str) -> control_pb2.Artifact:
    """Return what the controller knows already: a name, a digest or its beginning, or a file with the same bytes.

    Raises:
        NotFoundError: artifact_not_found.
    """
    path = Path(text)
    if not path.is_file():
        return client.artifact(text)
    try:
        return client.artifact(hashlib.sha256(path.read_bytes()).hexdigest())
    except NotFoundError as error:
        raise NotFoundError(
            error.reason, f"the controller has never seen the file {text}; `steelyard compress` or `measure` adds it"
        ) from None


def make_variants(
    client: Client,
    artifact: control_pb2.Artifact,
    recipes: Sequence[str | Recipe],
    *,
    task: control_pb2.Task | None,
    seed: int,
    device: str,
    evaluate: bool = False,
    use_cache: bool = True,
    measuring: StepMeasuring | None = None,
    is_announced: bool = False,
) -> list[control_pb2.Artifact]:
    """Compress ``artifact`` by each recipe and return the variants, in order, with what each step did this time.

    ``evaluate``: score each step here. ``measuring``: where and how recipes measure on their way. ``is_announced``: a
    line has said what begins.
    """
    variants = []
    for recipe in recipes:
        handle = client.compress(
            artifact,
            recipe,
            task=task,
            seed=seed,
            device=device,
            evaluate=evaluate,
            use_cache=use_cache,
            measuring=measuring,
        )
        title = f"{artifact.name} {recipe if isinstance(recipe, str) else recipe.name}"
        job = follow(handle, title, is_announced=is_announced)
        variants.append(_as_made(handle.variant(), job, task))
    return variants


def _as_made(made: control_pb2.Artifact, job: control_pb2.Job, task: control_pb2.Task | None) -> control_pb2.Artifact:
    """Return a variant with the steps of its job: another recipe, or another task, may have led to the same file."""
    if not job.steps:
        return made
    del made.lineage.steps[:]
    made.lineage.steps.extend(job.steps)
    if made.lineage.task_id != (task.task_id if task is not None else ""):
        made.lineage.ClearField("parent_evaluation")
    return made
