"""Rows of tasks. Every function runs inside the transaction that it is given."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, insert, select

from steelyard.errors import NotFoundError, UsageError
from steelyard.store import schema
from steelyard.store.names import near_names, require_digest, require_identifier, require_name
from steelyard_protocol.v1 import control_pb2

_TABLE = schema.tasks


def derived_task_id(task: control_pb2.Task) -> str:
    """Name a task after its content: 16 hexadecimal digits of the SHA-256 of the message without its id."""
    content = control_pb2.Task()
    content.CopyFrom(task)
    content.ClearField("task_id")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()[:16]


def put(connection: Connection, task: control_pb2.Task) -> control_pb2.Task:
    """Keep ``task`` and return it with its id; see ``Store.put_task``."""
    _check(task)
    stored = control_pb2.Task()
    stored.CopyFrom(task)
    stored.task_id = require_identifier(task.task_id or derived_task_id(task), "task id")
    known = _by_id(connection, stored.task_id)
    if known is None:
        values = {"task_id": stored.task_id, "name": stored.name, "message": stored.SerializeToString()}
        connection.execute(insert(_TABLE).values(**values))
    elif known != stored:
        raise UsageError(
            "task_exists",
            f"task {stored.task_id!r} is stored with other content, and results refer to it; choose another id",
        )
    return stored


def get(connection: Connection, task_id: str) -> control_pb2.Task:
    """Return one task by its whole id; see ``Store.get_task``."""
    found = _by_id(connection, task_id)
    if found is None:
        hint = near_names(task_id, connection.scalars(select(_TABLE.c.task_id)).all())
        raise NotFoundError("task_not_found", f"no task has the id {task_id[:80]!r}{hint}; create it first")
    return found


def _check(task: control_pb2.Task) -> None:
    require_name(task.name, "task name")
    blobs = {
        "evaluation data": (task.evaluation_digest, task.evaluation_sample_count),
        "calibration data": (task.calibration_digest, task.calibration_sample_count),
    }
    for what, (digest, sample_count) in blobs.items():
        if digest and require_digest(digest, f"{what} of task {task.name!r}:") and sample_count == 0:
            raise UsageError("invalid_task", f"{what} of task {task.name!r} holds 0 samples; give at least one")
    if task.labels_digest:
        require_digest(task.labels_digest, f"labels of task {task.name!r}:")


def _by_id(connection: Connection, task_id: str) -> control_pb2.Task | None:
    message = connection.scalar(select(_TABLE.c.message).where(_TABLE.c.task_id == task_id))
    return None if message is None else control_pb2.Task.FromString(message)
