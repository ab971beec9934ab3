"""A handle on a job: wait for it, follow it, cancel it, or leave it running."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from steelyard.errors import DeviceError, IncompleteError, SteelyardError, UsageError
from steelyard_protocol.v1 import control_pb2, measurement_pb2

if TYPE_CHECKING:
    from steelyard.compress.sensitivity_report import SensitivityReport
    from steelyard.control.client import Client

_WAIT_S = 10.0
# A job that somebody cancelled is no fault of the plan's, and no verdict.
_KINDS: Mapping[control_pb2.JobState.ValueType, type[SteelyardError]] = {
    control_pb2.JOB_STATE_USER_ERROR: UsageError,
    control_pb2.JOB_STATE_CANCELLED: IncompleteError,
}


class JobHandle:
    """One submitted job. Detaching is doing nothing: the controller runs it to its end."""

    def __init__(self, client: Client, job_id: str, *, estimated_ms: int = 0) -> None:
        self._client = client
        self.job_id = job_id
        self.estimated_ms = estimated_ms

    def events(self) -> Iterator[control_pb2.JobEvent]:
        """Yield the job's events as they are stored, until its last."""
        cursor = 0
        while True:
            response = self._client.events(self.job_id, after=cursor, wait_s=_WAIT_S)
            for event in response.events:
                cursor = event.cursor
                yield event
            if response.finished:
                return

    def wait(self, on_event: Callable[[control_pb2.JobEvent], None] | None = None) -> control_pb2.Job:
        """Wait for the end and return the job.

        Raises:
            SteelyardError: when the job did not end well, with its reason and sentence.
        """
        for event in self.events():
            if on_event is not None:
                on_event(event)
        job = self._client.job(self.job_id)
        if job.state != control_pb2.JOB_STATE_RECORDED:
            kind = _KINDS.get(job.state, DeviceError)
            raise kind(job.error.reason or "job_failed", job.error.message or f"job {job.job_id} did not end well")
        return job

    def measurement(self) -> measurement_pb2.Measurement:
        """Return what a finished measurement says."""
        return self._client.measurement(self.job_id).measurement

    def variant(self) -> control_pb2.Artifact:
        """Return the variant that a finished compression made."""
        return self._client.artifact(self._client.job(self.job_id).variant_digest)

    def sensitivity(self) -> SensitivityReport:
        """Return what a finished ``Client.sensitivity`` found."""
        from steelyard.compress.sensitivity_report import report_of

        return report_of(self._client.job(self.job_id).steps)

    def cancel(self) -> control_pb2.Job:
        """Cancel the job; finished rounds are kept."""
        return self._client.cancel(self.job_id)
