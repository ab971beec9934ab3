"""A finished job as spans of a trace: one for the job, under it one for each time that it spent in a state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time; nanoseconds since the epoch, by the controller's clock."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | int]
    # (when, line) of what was told within it.
    events: tuple[tuple[int, str], ...] = ()
    # Why it did not end well; "" where it did.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTrace:
    """The spans of one job; its 128-bit trace id is the job's id."""

    trace_id: int
    job: Span
    states: tuple[Span, ...]


def job_trace(job: control_pb2.Job, events: Sequence[control_pb2.JobEvent]) -> JobTrace:
    """Return the trace of a job in a final state from all of its events, the oldest first.

    Raises:
        ValueError: The job's id is no 128-bit hexadecimal number, or the job has not ended.
    """
    if not job.HasField("finished_at"):
        raise ValueError(f"job {job.job_id!r} has not ended")
    trace_id = int(job.job_id, 16)
    if not 0 < trace_id < 1 << 128:
        raise ValueError(f"job id {job.job_id!r} does not fit into a trace id")
    start_ns = job.created_at.ToNanoseconds()
    # A clock that was set back within a job must not make spans of negative length.
    end_ns = max(start_ns, job.finished_at.ToNanoseconds())
    whole = Span(
        name=_word("JOB_KIND", control_pb2.JobKind.Name(job.kind)),
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=_told(
            job_id=job.job_id,
            device=job.device,
            title=job.title,
            state=_word("JOB_STATE", control_pb2.JobState.Name(job.state)),
            reason=job.error.reason,
            attempt=job.attempt,
        ),
        error="" if job.state == control_pb2.JOB_STATE_RECORDED else job.error.message or "did not end well",
    )
    return JobTrace(trace_id=trace_id, job=whole, states=tuple(_states(events, start_ns, end_ns)))


def _states(events: Iterable[control_pb2.JobEvent], start_ns: int, end_ns: int) -> Iterable[Span]:
    stretches = [(state, list(told)) for state, told in groupby(events, key=lambda event: event.state)]
    begins = [min(max(told[0].at.ToNanoseconds(), start_ns), end_ns) for _, told in stretches]
    # The last event is the end itself, and takes no time.
    for (state, told), begin_ns, next_ns in zip(stretches, begins, begins[1:], strict=False):
        yield Span(
            name=_word("JOB_STATE", control_pb2.JobState.Name(state)),
            start_ns=begin_ns,
            end_ns=max(begin_ns, next_ns),
            attributes=_told(event_count=len(told)),
            events=tuple((event.at.ToNanoseconds(), event.message) for event in told),
        )


def _told(**values: str | int) -> Mapping[str, str | int]:
    return {f"steelyard.{name}": value for name, value in values.items() if value not in ("", 0)}


def _word(enum: str, name: str) -> str:
    return name.removeprefix(f"{enum}_").lower()
