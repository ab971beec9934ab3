"""Rows of artifacts. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, insert, select, update

from steelyard.errors import NotFoundError, UsageError
from steelyard.store import schema
from steelyard.store.names import CANDIDATE_OF, MIN_PREFIX_LENGTH, is_digest, near_names, require_digest, require_name
from steelyard.store.paging import fetch_page
from steelyard_protocol.v1 import common_pb2, control_pb2

_TABLE = schema.artifacts


def put(connection: Connection, artifact: control_pb2.Artifact, clock_ns: Callable[[], int]) -> control_pb2.Artifact:
    """Keep ``artifact`` and return what is stored; see ``Store.put_artifact``."""
    _check(artifact)
    known = _by_digest(connection, artifact.digest)
    parent = _by_digest(connection, artifact.lineage.parent_digest) if artifact.HasField("lineage") else None
    confidential = artifact.confidential or (parent is not None and parent.confidential)
    if known is None:
        stored = control_pb2.Artifact()
        stored.CopyFrom(artifact)
        stored.confidential = confidential
        if not stored.HasField("created_at"):
            stored.created_at.FromNanoseconds(clock_ns())
        values = {"digest": stored.digest, "name": stored.name, "message": stored.SerializeToString()}
        connection.execute(insert(_TABLE).values(**values))
        return stored
    if confidential and not known.confidential:
        # Never the other way round: who adds the same bytes again need not know.
        known.confidential = True
        _replace(connection, known)
    if artifact.HasField("lineage") and (not known.HasField("lineage") or _goes_on(known.lineage, artifact.lineage)):
        known.lineage.CopyFrom(_newer_account(known.lineage, artifact.lineage))
        known.name = artifact.name if known.name.startswith(CANDIDATE_OF) else known.name
        _replace(connection, known)
    return known


def find(connection: Connection, text: str) -> control_pb2.Artifact:
    """Find one artifact; see ``Store.find_artifact``."""
    found = _by_digest(connection, text) if is_digest(text) else _by_name(connection, text)
    found = found or _by_prefix(connection, text)
    if found is not None:
        return found
    names = connection.scalars(select(_TABLE.c.name).distinct()).all()
    hint = near_names(text, names) or ("; see `steelyard artifact list`" if names else "; no artifact is stored yet")
    raise NotFoundError("artifact_not_found", f"no artifact has the name or digest {text[:80]!r}{hint}")


def page(connection: Connection, page_size: int, page_token: str) -> tuple[list[control_pb2.Artifact], str]:
    """List artifacts, the newest first."""
    query = select(_TABLE.c.number, _TABLE.c.message)
    rows, token = fetch_page(
        connection, query, _TABLE.c.number, page_size=page_size, page_token=page_token, newest_first=True
    )
    return [control_pb2.Artifact.FromString(row["message"]) for row in rows], token


def _replace(connection: Connection, artifact: control_pb2.Artifact) -> None:
    change = update(_TABLE).where(_TABLE.c.digest == artifact.digest)
    connection.execute(change.values(name=artifact.name, message=artifact.SerializeToString()))


def _goes_on(old: control_pb2.Lineage, new: control_pb2.Lineage) -> bool:
    """Say whether this is the same recipe run again, or one with more steps behind it, which changed nothing."""
    if old.parent_digest != new.parent_digest or not old.steps:
        return False
    if len(old.steps) == len(new.steps):
        return old.recipe_toml == new.recipe_toml
    begins_alike = [(step.kind, step.output_digest) for step in new.steps[: len(old.steps)]]
    return begins_alike == [(step.kind, step.output_digest) for step in old.steps]


def _newer_account(old: control_pb2.Lineage, new: control_pb2.Lineage) -> control_pb2.Lineage:
    """Return the lineage of a recipe run again, with the scores and latencies of the old one where it made none."""
    kept = control_pb2.Lineage()
    kept.CopyFrom(new)
    if old.HasField("parent_evaluation") and not new.HasField("parent_evaluation"):
        kept.parent_evaluation.CopyFrom(old.parent_evaluation)
        for step, before in zip(kept.steps, old.steps, strict=False):
            if before.HasField("evaluation"):
                step.evaluation.CopyFrom(before.evaluation)
    for step, before in zip(kept.steps, old.steps, strict=False):
        if before.HasField("latency") and not step.HasField("latency"):
            step.latency.CopyFrom(before.latency)
    return kept


def _check(artifact: control_pb2.Artifact) -> None:
    require_digest(artifact.digest, "artifact digest")
    require_name(artifact.name, "artifact name")
    if artifact.format == common_pb2.ARTIFACT_FORMAT_UNSPECIFIED:
        raise UsageError("invalid_artifact", f"artifact {artifact.name!r} has no format; say ONNX or TFLite")
    if artifact.size_bytes <= 0:
        raise UsageError("invalid_artifact", f"artifact {artifact.name!r} has a size of {artifact.size_bytes} bytes")
    if artifact.HasField("lineage"):
        require_digest(artifact.lineage.parent_digest, f"parent of artifact {artifact.name!r}:")


def _by_digest(connection: Connection, digest: str) -> control_pb2.Artifact | None:
    message = connection.scalar(select(_TABLE.c.message).where(_TABLE.c.digest == digest))
    return None if message is None else control_pb2.Artifact.FromString(message)


def _by_name(connection: Connection, name: str) -> control_pb2.Artifact | None:
    query = select(_TABLE.c.message).where(_TABLE.c.name == name).order_by(_TABLE.c.number.desc()).limit(1)
    message = connection.scalar(query)
    return None if message is None else control_pb2.Artifact.FromString(message)


def _by_prefix(connection: Connection, text: str) -> control_pb2.Artifact | None:
    if len(text) < MIN_PREFIX_LENGTH:
        return None
    # substr, not LIKE: LIKE ignores case on SQLite and reads % and _.
    begins = func.substr(_TABLE.c.digest, 1, len(text)) == text
    rows = connection.execute(select(_TABLE.c.digest, _TABLE.c.name, _TABLE.c.message).where(begins).limit(4)).all()
    if len(rows) > 1:
        fits = ", ".join(f"{row.digest[:12]} ({row.name})" for row in rows[:3])
        raise UsageError("ambiguous_artifact", f"digest {text!r} begins several artifacts: {fits}; give more of it")
    return control_pb2.Artifact.FromString(rows[0].message) if rows else None
