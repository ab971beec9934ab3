"""Which artifact was made from which: pure, over the artifacts that a controller lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from steelyard_protocol.v1 import control_pb2


def parent_of(artifact: control_pb2.Artifact) -> str:
    """Return the digest that an artifact was made from by its last step, "" for a model that somebody added."""
    lineage = artifact.lineage
    if not artifact.HasField("lineage"):
        return ""
    made = [step.output_digest for step in lineage.steps if step.output_digest]
    # The step before the last made what the last one started from; a step that changed nothing is no parent.
    before = [digest for digest in made[:-1] if digest != artifact.digest]
    return before[-1] if before else lineage.parent_digest


def models_read(lineage: control_pb2.Lineage) -> tuple[control_pb2.ReadModel, ...]:
    """Return the models that steps read by name (teachers, a student), each once."""
    found = {(one.name, one.digest): one for step in lineage.steps for one in step.read_models}
    return tuple(found.values())


def children_of(artifacts: Iterable[control_pb2.Artifact]) -> dict[str, list[str]]:
    """Return by digest the digests of what was made from it directly, in the order of the list."""
    children: dict[str, list[str]] = {}
    for artifact in artifacts:
        parent = parent_of(artifact)
        if parent:
            children.setdefault(parent, []).append(artifact.digest)
    return children


def root_of(digest: str, artifacts: Mapping[str, control_pb2.Artifact]) -> str:
    """Return the oldest ancestor that is known of; a loop in what was recorded ends the walk."""
    seen = {digest}
    while digest in artifacts and (parent := parent_of(artifacts[digest])) and parent not in seen:
        seen.add(parent)
        digest = parent
    return digest
