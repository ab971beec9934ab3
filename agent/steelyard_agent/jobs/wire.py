"""Builds the session's messages about jobs, so that nothing else has to know how the wire spells them."""

from __future__ import annotations

from steelyard_agent.errors import AgentError
from steelyard_agent.jobs.lease import HeldLease
from steelyard_agent.jobs.messages import error_info, timestamp
from steelyard_agent.state.outbox import OutboxEntry, RoundKey
from steelyard_protocol.v1.result_pb2 import Pass, ResultKey
from steelyard_protocol.v1.session_pb2 import (
    ConnectRequest,
    GrantFinished,
    JobFailed,
    JobPhase,
    JobProgress,
    Lease,
    LeaseAnswer,
    RoundGrant,
    RoundReady,
)


def lease_message(lease: HeldLease) -> Lease:
    """Return the lease as the wire has it."""
    return Lease(job_id=lease.job_id, attempt=lease.attempt, epoch=lease.epoch, ttl_ms=lease.ttl_ms)


def key_message(key: RoundKey) -> ResultKey:
    """Return the key as the wire has it."""
    return ResultKey(
        job_id=key.job_id, attempt=key.attempt, pass_kind=Pass.ValueType(key.pass_kind), round_index=key.round_index
    )


def round_key(message: ResultKey) -> RoundKey:
    """Return a key that came over the wire.

    Raises:
        ValueError: Its job id is no name.
    """
    return RoundKey(
        job_id=message.job_id,
        attempt=message.attempt,
        pass_kind=message.pass_kind,
        round_index=message.round_index,
    )


def granted(lease: HeldLease) -> ConnectRequest:
    """Say that the device is the job's."""
    return ConnectRequest(
        lease_answer=LeaseAnswer(job_id=lease.job_id, attempt=lease.attempt, lease=lease_message(lease))
    )


def refused(
    job_id: str, attempt: int, *, holder: HeldLease, held_until_unix_ns: int, elsewhere: bool = False
) -> ConnectRequest:
    """Say that another job holds the device, and until when at least; ``elsewhere`` when it is another controller's."""
    whose = f" of controller {holder.controller_id or 'on loopback'}" if elsewhere else ""
    because = (
        f"job {holder.job_id}{whose} holds this device; it is free at the latest when that job ends or is cancelled"
    )
    return ConnectRequest(
        lease_answer=LeaseAnswer(
            job_id=job_id, attempt=attempt, refused_because=because, held_until=timestamp(held_until_unix_ns)
        )
    )


def refused_for_another(job_id: str, attempt: int, *, next_job_id: str) -> ConnectRequest:
    """Say that the device is free, but not for this job: another one that waits has it first."""
    because = f"job {next_job_id} waits for this device, too, and has it first; ask again"
    return ConnectRequest(lease_answer=LeaseAnswer(job_id=job_id, attempt=attempt, refused_because=because))


def free_now(job_id: str, attempt: int) -> ConnectRequest:
    """Say to a job that was refused that it may ask again: nobody holds the device."""
    answer = LeaseAnswer(job_id=job_id, attempt=attempt, refused_because="the device is free now; ask again")
    return ConnectRequest(lease_answer=answer)


def refused_by_policy(job_id: str, attempt: int, *, because: str, until_unix_ns: int | None) -> ConnectRequest:
    """Say which rule of the device's own refuses the job, and until when where that is known."""
    answer = LeaseAnswer(job_id=job_id, attempt=attempt, refused_because=because)
    if until_unix_ns is not None:
        answer.held_until.CopyFrom(timestamp(until_unix_ns))
    return ConnectRequest(lease_answer=answer)


def failed(job_id: str, attempt: int, error: AgentError) -> ConnectRequest:
    """Say that the job cannot go on, and why."""
    info = error_info(error.reason, str(error))
    return ConnectRequest(job_failed=JobFailed(job_id=job_id, attempt=attempt, error=info))


def round_ready(entry: OutboxEntry, *, epoch: int) -> ConnectRequest:
    """Say that a round was uploaded, under the newest epoch of this device."""
    return ConnectRequest(
        round_ready=RoundReady(
            key=key_message(entry.key),
            epoch=epoch,
            result_digest=entry.result.digest,
            result_size_bytes=entry.result.size_bytes,
        )
    )


def grant_finished(grant: RoundGrant) -> ConnectRequest:
    """Say that every round of the grant ran."""
    return ConnectRequest(
        grant_finished=GrantFinished(
            job_id=grant.job_id, attempt=grant.attempt, epoch=grant.epoch, pass_kind=grant.pass_kind
        )
    )


def staging_progress(lease: HeldLease, *, detail: str, bytes_done: int, bytes_total: int) -> ConnectRequest:
    """Say how much of the job's blobs is here."""
    return ConnectRequest(
        job_progress=JobProgress(
            job_id=lease.job_id,
            attempt=lease.attempt,
            phase=JobPhase.JOB_PHASE_STAGING,
            detail=detail,
            bytes_done=bytes_done,
            bytes_total=bytes_total,
        )
    )


def block_progress(
    lease: HeldLease,
    *,
    pass_kind: Pass.ValueType,
    round_index: int,
    blocks_done: int,
    block_count: int,
    detail: str,
    phase: JobPhase.ValueType = JobPhase.JOB_PHASE_RUNNING,
) -> ConnectRequest:
    """Say which block of a round comes next, or what it waits for (phase GATING)."""
    return ConnectRequest(
        job_progress=JobProgress(
            job_id=lease.job_id,
            attempt=lease.attempt,
            phase=phase,
            pass_kind=pass_kind,
            round_index=round_index,
            blocks_done=blocks_done,
            block_count=block_count,
            detail=detail,
        )
    )
