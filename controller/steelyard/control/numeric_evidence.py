"""What others answered to the inputs of a numeric check, from the store."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.errors import NotFoundError
from steelyard.store.numeric_outputs import NumericKey, NumericOutputs
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, plan_pb2

# Of the devices that answered the same question; the newest of each is compared.
_MOST_OTHERS = 16


def numeric_key(plan: plan_pb2.Plan, planned: plan_pb2.PlannedArtifact) -> NumericKey:
    """Return what an artifact of a plan is run on by the check; the plan has inputs for it."""
    return NumericKey(
        artifact_digest=planned.artifact_digest,
        data_digest=plan.numeric.data_digest,
        batch_size=planned.batch_size,
        layers_digest=planned.layers_digest,
    )


async def numeric_answers(
    plan: plan_pb2.Plan, *, job_id: str, device_id: str, store: AsyncStore
) -> list[control_pb2.NumericAnswers]:
    """Return what others answered to the inputs of each artifact of a plan; nothing for a plan that does not ask."""
    if not plan.numeric.data_digest:
        return []
    found = []
    for planned in plan.artifacts:
        key = numeric_key(plan, planned)
        rows = await store.call(Store.list_numeric, key.artifact_digest, key.data_digest)
        rows = _until(rows, job_id, planned.label)
        others = {row.device_id for row in rows} - {"", device_id}
        names = {other: await _name(store, other) for other in others}
        found.append(_answers(planned, rows, names))
    return found


def _until(rows: Sequence[NumericOutputs], job_id: str, label: str) -> list[NumericOutputs]:
    """Return the controller's own runs, and of devices what was recorded before this job's: a result stays as it is."""
    own = next((at for at, row in enumerate(rows) if (row.job_id, row.label) == (job_id, label)), len(rows))
    return [row for at, row in enumerate(rows) if at <= own or not row.device_id]


async def _name(store: AsyncStore, device_id: str) -> str:
    try:
        return (await store.call(Store.find_device, device_id)).description.name or device_id[:8]
    except NotFoundError:
        return device_id[:8]


def _answers(
    planned: plan_pb2.PlannedArtifact, rows: Sequence[NumericOutputs], names: dict[str, str]
) -> control_pb2.NumericAnswers:
    answers = control_pb2.NumericAnswers(label=planned.label)
    same = [row for row in rows if row.key.batch_size == planned.batch_size]
    ours = [row for row in same if not row.device_id and row.key.layers_digest == planned.layers_digest]
    if ours:
        answers.reference.CopyFrom(_answer(ours[-1], ""))
    # Later rows replace earlier ones.
    newest = {row.device_id: row for row in same if row.device_id in names}
    answers.others.extend(_answer(row, names[device_id]) for device_id, row in list(newest.items())[-_MOST_OTHERS:])
    return answers


def _answer(row: NumericOutputs, device: str) -> control_pb2.NumericAnswer:
    return control_pb2.NumericAnswer(
        outputs_digest=row.outputs_digest, device=device, runtime=row.runtime, reason=row.reason
    )
