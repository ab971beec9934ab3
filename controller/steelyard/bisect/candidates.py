"""What is searched: models, a model behind each step of its recipe, runtime environments, revisions of a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.bisect.revisions import Revision, read_file, revisions_of
from steelyard.compress.recipe import Recipe
from steelyard.errors import UsageError

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.control.job_handle import JobHandle
    from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of them: a model by its digest, under a runtime environment of the device where ``environment`` names one."""

    name: str
    title: str
    digest: str
    environment: str = ""


def of_models(artifacts: Sequence[control_pb2.Artifact], typed: Sequence[str]) -> list[Candidate]:
    """Return models in the order given, under the names that were typed: files of one content have one artifact."""
    return [Candidate(name=one.name, title=text, digest=one.digest) for one, text in zip(artifacts, typed, strict=True)]


def made_from(good: control_pb2.Artifact, bad: control_pb2.Artifact) -> bool:
    """Say whether ``bad`` was made from ``good`` by a recipe whose steps can be searched."""
    return bad.lineage.parent_digest == good.digest and len(bad.lineage.steps) > 1


def of_steps(
    client: Client,
    good: control_pb2.Artifact,
    recipe: Recipe,
    *,
    task: control_pb2.Task | None,
    seed: int,
    follow: Callable[[JobHandle, str], object],
) -> list[Candidate]:
    """Return a model and what the first 1, 2, … steps of a recipe make of it; steps that are known are not run again.

    Raises:
        SteelyardError: a step fails, with its reason.
    """
    candidates = [_of_artifact(good)]
    for count in range(1, len(recipe.step_list) + 1):
        first = recipe.step_list[:count]
        handle = client.compress(
            good, Recipe(first, name=recipe.prefix_name(count)), task=task, seed=seed, evaluate=False
        )
        follow(handle, f"{good.name}, {count} of {len(recipe.step_list)} steps")
        variant = handle.variant()
        title = f"step {count}, {first[-1].kind}"
        candidates.append(Candidate(name=variant.name, title=title, digest=variant.digest))
    return candidates


def of_environments(artifact: control_pb2.Artifact, environments: Sequence[str]) -> list[Candidate]:
    """Return one model under several runtime environments of the device, the oldest first.

    Raises:
        UsageError: fewer than two, or one twice.
    """
    if len(environments) < 2 or len(set(environments)) != len(environments):
        raise UsageError(
            "bad_environments",
            f"--env {','.join(environments)} is searched from its first to its last: name two or more, each once",
        )
    return [
        Candidate(name=name, title=f"{artifact.name} in {name}", digest=artifact.digest, environment=name)
        for name in environments
    ]


def of_revisions(client: Client, path: Path, good: str, bad: str) -> list[Candidate]:
    """Return a model file at ``good`` and at each later revision up to ``bad`` that changed it.

    Raises:
        UsageError: no repository, no such revision, no model file there, or no change between the two.
    """
    return [_of_revision(client, path, one) for one in revisions_of(path, good, bad)]


def _of_revision(client: Client, path: Path, revision: Revision) -> Candidate:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / path.name
        file.write_bytes(read_file(path, revision.commit))
        artifact = client.add_model(file, name=path.stem)
    return Candidate(name=revision.commit[:12], title=revision.subject, digest=artifact.digest)


def _of_artifact(artifact: control_pb2.Artifact) -> Candidate:
    return Candidate(name=artifact.name, title=artifact.name, digest=artifact.digest)
