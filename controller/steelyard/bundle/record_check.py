"""Whether the record of a bundle, which nobody vouches for, can be one: looked at before its figures are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.bundle.contents import blobs_of
from steelyard.bundle.errors import BundleError
from steelyard.control.planned_round_check import refuse_unplanned
from steelyard.control.round_check import refuse_nonsense
from steelyard_protocol.v1 import control_pb2, result_pb2


def check_record(
    job_id: str,
    record: control_pb2.MeasurementRecord,
    rounds: Sequence[result_pb2.RoundResult],
    kinds: Mapping[str, str],
) -> None:
    """Refuse a record that no controller made; ``kinds`` are those of the bundle's blobs, by digest.

    Raises:
        BundleError: ``bad_record``, or ``no_member`` for a blob that is not there.
        SteelyardError: ``bad_round``: a round that no device could have measured.
    """
    if record.job.job_id != job_id:
        raise _bad(job_id, f"is that of job {record.job.job_id[:40]!r}")
    planned = record.request.plan.artifacts
    labels = [one.label for one in planned]
    if not labels or len(set(labels)) < len(labels):
        raise _bad(job_id, f"plans {len(labels)} artifacts, none or two of one label")
    known = {one.digest for one in record.artifacts}
    missing = [one.label for one in planned if one.artifact_digest not in known]
    if missing:
        raise _bad(job_id, f"says nothing of the artifact {missing[0][:80]!r}")
    _check_rounds(job_id, record, rounds)
    for digest, kind in blobs_of(record, rounds).items():
        if kinds.get(digest) != kind:
            raise BundleError("no_member", f"the bundle lacks the {kind} {digest[:12]}, which job {job_id[:12]} names")


def _check_rounds(job_id: str, record: control_pb2.MeasurementRecord, rounds: Sequence[result_pb2.RoundResult]) -> None:
    jobs = {record.job.job_id, *(one.job.job_id for one in record.extended)}
    seen = set()
    for reference, result in zip(record.rounds, rounds, strict=True):
        key = reference.key
        names = (key.job_id, key.attempt, key.pass_kind, key.round_index)
        if names != (result.job_id, result.attempt, result.pass_kind, result.round_index) or key.job_id not in jobs:
            raise _bad(job_id, f"names round {key.round_index} of job {key.job_id[:12]!r} and holds another one")
        if (key.pass_kind, key.round_index) in seen:
            raise _bad(job_id, f"has round {key.round_index} of pass {key.pass_kind} twice")
        seen.add((key.pass_kind, key.round_index))
        refuse_nonsense(result)
        refuse_unplanned(result, record.request.plan)


def _bad(job_id: str, what: str) -> BundleError:
    return BundleError("bad_record", f"the record of job {job_id[:12]} {what}: it was changed")
