"""Jobs of a night: waited for in small steps, so that the night can be stopped, with the device time that they took."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.job_states import FINAL_STATES
from steelyard.nightly.errors import StoppedError
from steelyard_protocol.v1 import control_pb2, measurement_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

_LOOK_S = 1.0
# Between two events of a job that runs; more is a clock that was set.
_MOST_BETWEEN_EVENTS_S = 3600.0
_ON_DEVICE = frozenset(
    {
        control_pb2.JOB_STATE_STAGING,
        control_pb2.JOB_STATE_GATING,
        control_pb2.JOB_STATE_RUNNING,
        control_pb2.JOB_STATE_UPLOADING,
    }
)
# Why a job ended whose controller, that of an earlier run of the night, ended with that run.
COMMAND_ENDED = "command_ended"
# What another try may well bring.
PASSING_STATES = frozenset(
    {control_pb2.JOB_STATE_DEVICE_LOST, control_pb2.JOB_STATE_TIMEOUT, control_pb2.JOB_STATE_AGENT_ERROR}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A job at its end. ``measurement`` is None where it did not end well; the job's error says why."""

    job: control_pb2.Job
    device_s: float
    measurement: measurement_pb2.Measurement | None = None

    @property
    def code(self) -> str:
        """Why there is no measurement, for machines."""
        word = control_pb2.JobState.Name(self.job.state).removeprefix("JOB_STATE_").lower()
        return self.job.error.reason or word

    @property
    def reason(self) -> str:
        """Why there is no measurement, in a sentence."""
        return self.job.error.message or f"job {self.job.job_id[:12]} did not end well ({self.code})"


def wait_for_job(client: Client, job_id: str, stop: threading.Event) -> EndedJob:
    """Wait for the end of a measurement.

    Raises:
        StoppedError: ``stop`` was set; the job goes on where its controller does.
        SteelyardError: the controller is gone, or does not know the job.
    """
    job, events = wait_for_end(client, job_id, stop)
    measurement = client.measurement(job_id).measurement if job.state == control_pb2.JOB_STATE_RECORDED else None
    return EndedJob(job=job, device_s=device_seconds(events), measurement=measurement)


def wait_for_end(
    client: Client, job_id: str, stop: threading.Event
) -> tuple[control_pb2.Job, list[control_pb2.JobEvent]]:
    """Wait for the end of any job, and return it with its events.

    Raises:
        StoppedError: as ``wait_for_job``.
    """
    events: list[control_pb2.JobEvent] = []
    while True:
        if stop.is_set():
            raise StoppedError
        response = client.events(job_id, after=events[-1].cursor if events else 0, wait_s=_LOOK_S)
        events += response.events
        if response.finished:
            break
    job = client.job(job_id)
    if job.state not in FINAL_STATES:
        raise StoppedError
    return job, events


def device_seconds(events: Sequence[control_pb2.JobEvent]) -> float:
    """Return how long the job held its device: the time between events while it did, whatever was waited for before."""
    total = 0.0
    for before, after in itertools.pairwise(events):
        if before.state in _ON_DEVICE:
            seconds = after.at.ToNanoseconds() / 1e9 - before.at.ToNanoseconds() / 1e9
            total += min(max(0.0, seconds), _MOST_BETWEEN_EVENTS_S)
    return total
