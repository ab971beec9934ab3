"""Going on with a finished measurement: its rounds count, and more are added under the same plan."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.analysis.validity import rounds_that_count
from steelyard.control.job_world import JobWorld
from steelyard.errors import UsageError
from steelyard.job_states import FINAL_STATES
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, result_pb2

MORE_ROUNDS = 40
_LEAST_MORE = 6
# What the first measurement settled; another value would be another measurement.
_KEPT = (
    *("task_id", "minimum_effect", "equivalence_margin", "target_half_width"),
    *("energy_round_count", "without_energy", "check_layers", "probe_roofline"),
)
_KEPT_LISTS = ("requirements", "meters")


async def complete_extension(world: JobWorld, request: control_pb2.SubmitMeasurementRequest) -> None:
    """Fill a request that extends a measurement from that one.

    Raises:
        UsageError: the job cannot be extended, or the request asks for something else than it did.
        NotFoundError: nobody knows the job.
    """
    job = await world.store.call(Store.get_job, request.extended_job_id)
    name = job.job_id[:12]
    if job.kind != control_pb2.JOB_KIND_MEASUREMENT:
        raise UsageError("not_a_measurement", f"job {name} is not a measurement: there are no rounds to add to")
    if job.state not in FINAL_STATES:
        raise UsageError(
            "job_unfinished", f"job {name} is not finished: wait for its end, or cancel it, then extend it"
        )
    rounds = [one for one in await world.results.rounds(job.job_id) if one.pass_kind == result_pb2.PASS_LATENCY]
    if not rounds:
        raise UsageError("nothing_to_extend", f"job {name} has no timed round: measure anew")
    earlier = control_pb2.SubmitMeasurementRequest.FromString(await world.store.call(Store.get_request, job.job_id))
    await _check_not_extended(world, job)
    await _check_device(world, request, job)
    _check_runtimes(rounds, earlier.plan, await world.devices.runtimes(job.device), name)
    _take_over(request, earlier, name)
    request.extended_job_id, request.device = job.job_id, job.device
    request.title = request.title or earlier.title
    _fill_counts(request, len(rounds_that_count(rounds)), name)


async def _check_not_extended(world: JobWorld, job: control_pb2.Job) -> None:
    """Refuse a second branch: each one would spend the error that the first measurement left anew."""
    for other in await world.store.call(Store.extensions_of, job.job_id):
        if await world.store.call(Store.list_rounds, other):
            raise UsageError(
                "already_extended",
                f"job {job.job_id[:12]} was extended by job {other[:12]} already: extend that one, which holds the "
                "rounds of both",
            )


async def _check_device(world: JobWorld, request: control_pb2.SubmitMeasurementRequest, job: control_pb2.Job) -> None:
    """Refuse another device than the one of the rounds that there are."""
    if request.device in ("", job.device) and not job.device_id:
        return
    named = request.device or job.device
    await world.devices.check_known(named)
    # By the id where it is known: another device may have taken the name meanwhile.
    asked, measured = [
        (await world.store.call(Store.find_device, one)).description.device_id
        for one in (named, job.device_id or job.device)
    ]
    if asked != measured:
        raise UsageError(
            "other_device",
            f"job {job.job_id[:12]} was measured on {job.device} ({measured[:8]}): rounds on {named} cannot be added "
            f"to it, which is {asked[:8]}; measure anew there",
        )


def _check_runtimes(
    rounds: Sequence[result_pb2.RoundResult],
    plan: plan_pb2.Plan,
    described: Sequence[common_pb2.RuntimeDescription],
    name: str,
) -> None:
    """Refuse when the device has another version of a runtime now; one that it does not describe is let through."""
    now = {(one.name, one.environment): one.version for one in described if one.version}
    environments = {one.label: one.runtime.environment for one in plan.artifacts}
    for block in (block for one in rounds for block in one.blocks if block.runtime_version):
        version = now.get((block.runtime_name, environments.get(block.label, "")), block.runtime_version)
        if version != block.runtime_version:
            raise UsageError(
                "runtime_changed",
                f"job {name} measured {block.label} with {block.runtime_name} {block.runtime_version}, the device has "
                f"{version} now: measure anew",
            )


def _take_over(
    request: control_pb2.SubmitMeasurementRequest, earlier: control_pb2.SubmitMeasurementRequest, name: str
) -> None:
    if request.HasField("plan") and request.plan != earlier.plan:
        raise UsageError("other_plan", f"job {name} has another plan: leave the models and flags out, or measure anew")
    request.plan.CopyFrom(earlier.plan)
    for field in (*_KEPT, *_KEPT_LISTS):
        asked, was = getattr(request, field), getattr(earlier, field)
        if asked and asked != was:
            raise UsageError(
                "other_request",
                f"job {name} was measured with another {field.replace('_', ' ')}: leave it out, or measure anew",
            )
        if field not in _KEPT_LISTS:
            setattr(request, field, was)
        elif not asked:
            asked.extend(was)


def _fill_counts(request: control_pb2.SubmitMeasurementRequest, earlier_count: int, name: str) -> None:
    """Spell out how many rounds there may be in all, and how many new ones before a verdict."""
    most = request.max_round_count or earlier_count + MORE_ROUNDS
    if most <= earlier_count:
        raise UsageError(
            "no_more_rounds",
            f"job {name} has {earlier_count} rounds already: --max-rounds {most} adds none, name more than "
            f"{earlier_count}",
        )
    request.max_round_count = most
    request.min_round_count = min(request.min_round_count or _LEAST_MORE, most - earlier_count)
