"""Registering what clients uploaded: models (checked again here, a client is not trusted) and tasks."""

from __future__ import annotations

import asyncio
import hashlib

from steelyard.analysis.scoring import metric_of
from steelyard.artifacts import read_artifact
from steelyard.errors import UsageError
from steelyard.store.blobs import BlobStore
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2


class Models:
    """Artifacts and tasks of one controller."""

    def __init__(self, *, store: AsyncStore, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs

    async def create_artifact(
        self, digest: str, name: str, lineage: control_pb2.Lineage | None = None, *, confidential: bool = False
    ) -> control_pb2.Artifact:
        """Register the blob ``digest`` as a model; a variant of a confidential one is confidential.

        Raises:
            UsageError: when the blob was not uploaded.
            InvalidModelError: when it is not a model.
        """
        if not self._blobs.has(digest):
            raise UsageError("blob_missing", f"blob {digest[:12]} was not uploaded: upload it before registering it")
        inspected = await asyncio.to_thread(read_artifact, self._blobs.path(digest))
        artifact = control_pb2.Artifact(
            digest=digest,
            name=name or digest[:12],
            format=inspected.format,
            size_bytes=inspected.size_bytes,
            signature=inspected.signature,
            lineage=lineage,
            confidential=confidential,
        )
        artifact.created_at.GetCurrentTime()
        return await self._store.call(Store.put_artifact, artifact)

    async def create_task(self, task: control_pb2.Task) -> control_pb2.Task:
        """Register a task; its id is the digest of what it is made of.

        Raises:
            UsageError: when one of its blobs was not uploaded, it has no samples, or its metric is not known here.
        """
        named = (task.evaluation_digest, task.labels_digest, task.calibration_digest, task.training_digest)
        for digest in (*named, task.training_labels_digest):
            if digest and not self._blobs.has(digest):
                raise UsageError("blob_missing", f"blob {digest[:12]} of task {task.name!r} was not uploaded")
        if not task.evaluation_digest or task.evaluation_sample_count == 0:
            raise UsageError("empty_task", f"task {task.name!r} has no evaluation samples: give it at least one")
        metric_of(task)
        task.evaluation_size_bytes = self._blobs.size(task.evaluation_digest)
        task.task_id = ""
        task.task_id = hashlib.sha256(task.SerializeToString(deterministic=True)).hexdigest()[:32]
        return await self._store.call(Store.put_task, task)
