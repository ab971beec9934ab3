"""The stop rule's looks once more, from recorded rounds: whether measuring ended when the rule said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.analysis.emulation import as_measured
from steelyard.analysis.scoring import score_of
from steelyard.analysis.stop import StopPolicy
from steelyard.stats.task_metric import TaskMetric
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReplay:
    """What the rule says of a measurement's timed rounds.

    ``looks`` are the counts of recorded rounds after which it was asked, the last one where measuring ended.
    ``reason`` is why it ended, "" where the rule did not end it (a cancelled job). ``trouble`` is in what the recorded
    rounds do not follow from the rule, "" when they do.
    """

    job_id: str
    looks: tuple[int, ...]
    reason: str
    trouble: str = ""


def replay_stop(
    job: control_pb2.Job,
    request: control_pb2.SubmitMeasurementRequest,
    device: common_pb2.DeviceDescription,
    rounds: Sequence[result_pb2.RoundResult],
    score: TaskMetric | None = None,
) -> StopReplay:
    """Ask the rule again after each grant; ``rounds`` are those of the job, earlier ones that it extends first.

    ``score`` is what its task measures.
    """
    emulated_by = as_measured(device, rounds).emulated_by
    policy = StopPolicy.of(request, job_id=job.job_id, emulated_by=emulated_by, score=score)
    timed = [one for one in rounds if one.pass_kind == result_pb2.PASS_LATENCY]
    # In the order in which a controller holds them, whatever order somebody lists them in.
    timed.sort(key=lambda one: one.round_index)
    name, done, looks = job.job_id[:12], sum(one.job_id != job.job_id for one in timed), []
    while done < len(timed):
        decision = policy.decide(timed[:done])
        looks.append(done)
        if decision.stop:
            trouble = (
                f"the stop rule ends job {name} after {done} timed rounds ({decision.reason}), and {len(timed)} are"
            )
            return StopReplay(job_id=job.job_id, looks=tuple(looks), reason="", trouble=f"{trouble} recorded")
        done += decision.round_count
    last = policy.decide(timed)
    trouble = ""
    if job.state == control_pb2.JOB_STATE_RECORDED and not last.stop:
        wanted = f"the stop rule asks for {last.round_count} more timed rounds of job {name}"
        trouble = f"{wanted} after {len(timed)}, and it ended"
    return StopReplay(job_id=job.job_id, looks=(*looks, len(timed)), reason=last.reason, trouble=trouble)


def replay_stops(
    record: control_pb2.MeasurementRecord, rounds: Sequence[result_pb2.RoundResult]
) -> tuple[StopReplay, ...]:
    """Return the replay of a measurement and, before it, of those that it extends."""
    replays = []
    known: set[str] = set()
    score = score_of(record.task) if record.HasField("task") else None
    for one in record.extended:
        known.add(one.job.job_id)
        # A round of an earlier job that this one measured again is gone from the record: its rule cannot be asked.
        earlier = [result for result in rounds if result.job_id in known]
        replays.append(replay_stop(one.job, one.request, record.device, earlier, score))
    return (*replays, replay_stop(record.job, record.request, record.device, rounds, score))
