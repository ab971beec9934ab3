"""Confidential models of a controller's jobs: gone with the job, and the controller hears of it, however late."""

from __future__ import annotations

from functools import partial

from steelyard_agent.jobs.lease import HeldLease
from steelyard_agent.jobs.port import ControllerPort
from steelyard_agent.state.confidential_blobs import BlobOwner, ConfidentialBlobs
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.session_pb2 import BlobsRemoved, ConnectRequest


class ConfidentialWork:
    """The confidential blobs of one controller's jobs. Used from one event loop."""

    def __init__(self, blobs: ConfidentialBlobs, port: ControllerPort, *, controller_id: str) -> None:
        """Remove from ``blobs`` what is this controller's, and tell it by ``port``."""
        self._blobs = blobs
        self._port = port
        self._controller_id = controller_id

    def job_over(self, job_id: str) -> None:
        """Remove what a job brought, and say so."""
        self._blobs.remove(controller_id=self._controller_id, job_id=job_id)
        self.tell(running_job_id=None)

    def tell(self, *, running_job_id: str | None) -> None:
        """Say what is gone and was not acknowledged; of a job that runs, nothing is gone yet."""
        for owner, digests in self._blobs.removed(self._controller_id).items():
            if owner.job_id != running_job_id:
                removed = BlobsRemoved(job_id=owner.job_id, attempt=owner.attempt, digests=digests)
                heard = partial(self._blobs.forget, digests, owner)
                self._port.tell(ConnectRequest(blobs_removed=removed), on_read=heard)


def mark_confidential(blobs: ConfidentialBlobs, plan: Plan, lease: HeldLease) -> None:
    """Mark the confidential blobs of a plan before any of them is fetched.

    Raises:
        OSError: They cannot be marked.
    """
    digests = {
        digest
        for artifact in plan.artifacts
        if artifact.confidential
        for digest in (artifact.artifact_digest, artifact.layers_digest)
        if digest
    }
    owner = BlobOwner(controller_id=lease.controller_id, job_id=lease.job_id, attempt=lease.attempt)
    blobs.mark(sorted(digests), owner)
