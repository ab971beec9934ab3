"""Which of the blobs on a device a model may resemble, so that a delta is tried: its kin by lineage and name."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2


def find_bases(store: Store, digest: str, held: Sequence[str]) -> list[str]:
    """Return those of ``held`` that are kin of the blob ``digest``, the nearest first; none where it is no model.

    Runs in the store's thread.
    """
    target = _artifact(store, digest)
    if target is None:
        return []
    ranked: list[tuple[int, str]] = []
    for other in held:
        artifact = _artifact(store, other) if other != digest else None
        if artifact is not None and (rank := _rank(target, artifact)) is not None:
            ranked.append((rank, other))
    # Stable: among equals, those that the device used last stay first.
    return [other for _, other in sorted(ranked, key=lambda one: one[0])]


def _rank(target: control_pb2.Artifact, other: control_pb2.Artifact) -> int | None:
    """Return 0 for what the target was made of or a step on the way, 1 for other kin, 2 for a namesake."""
    steps = {step.output_digest for step in target.lineage.steps}
    if other.digest == target.lineage.parent_digest or other.digest in steps:
        return 0
    if _origin(other) == _origin(target):
        return 1
    return 2 if other.name == target.name and other.format == target.format else None


def _origin(artifact: control_pb2.Artifact) -> str:
    return artifact.lineage.parent_digest or artifact.digest


def _artifact(store: Store, digest: str) -> control_pb2.Artifact | None:
    try:
        found = store.find_artifact(digest)
    except (NotFoundError, UsageError):
        return None
    # A name may look like a digest.
    return found if found.digest == digest else None
