"""When rounds ran, and for how long, as far as the clock of their device can be believed."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_protocol.v1 import control_pb2, result_pb2

_DAY_NS = 24 * 3600 * 1_000_000_000
# No round takes a week; a clock that was set meanwhile moves by decades.
_LONGEST_ROUND_NS = 7 * _DAY_NS


def round_time_ns(result: result_pb2.RoundResult) -> int | None:
    """Return how long a round took, None where the device's clock was set meanwhile."""
    time_ns = result.finished_at.ToNanoseconds() - result.started_at.ToNanoseconds()
    return time_ns if 0 <= time_ns <= _LONGEST_ROUND_NS else None


def measured_between(job: control_pb2.Job, rounds: Sequence[result_pb2.RoundResult]) -> tuple[int, int]:
    """Return the first and the last moment of rounds, in nanoseconds since the epoch.

    Rounds of ``job`` that are a day or more before it was submitted, or after its end, were told by a wrong clock; the
    job's own times, which are the controller's, stand for them. ``rounds`` must not be empty.
    """
    submitted_ns = job.created_at.ToNanoseconds()
    ended_ns = job.finished_at.ToNanoseconds() if job.HasField("finished_at") else None

    def believed(result: result_pb2.RoundResult, at_ns: int, instead_ns: int) -> int:
        if result.job_id != job.job_id or not job.HasField("created_at"):
            return at_ns
        is_before = at_ns < submitted_ns - _DAY_NS
        is_after = ended_ns is not None and at_ns > ended_ns + _DAY_NS
        return instead_ns if is_before or is_after else at_ns

    last_ns = ended_ns if ended_ns is not None else submitted_ns
    starts = [believed(one, one.started_at.ToNanoseconds(), submitted_ns) for one in rounds]
    ends = [believed(one, one.finished_at.ToNanoseconds(), last_ns) for one in rounds]
    return min(starts), max(ends)
