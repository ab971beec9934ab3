"""What the analysis of a numeric check needs, read from the store and the blobs."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.analysis.numeric import NumericEvidence, OtherOutputs, model_form
from steelyard.control.plan_layers import layers_of
from steelyard.errors import NotFoundError, SteelyardError
from steelyard.numeric.outputs import CheckedOutputs, read_outputs
from steelyard.store.blobs import BlobStore
from steelyard.store.numeric_outputs import NumericKey, NumericOutputs
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, plan_pb2, result_pb2

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


async def numeric_evidence(
    plan: plan_pb2.Plan,
    rounds: Sequence[result_pb2.RoundResult],
    *,
    job_id: str,
    device_id: str,
    store: AsyncStore,
    blobs: BlobStore,
) -> dict[str, NumericEvidence]:
    """Return by label what is known of each artifact's outputs; nothing for a plan that does not ask."""
    if not plan.numeric.data_digest:
        return {}
    blocks = {block.label: block for one in rounds if one.pass_kind == result_pb2.PASS_NUMERIC for block in one.blocks}
    found = {}
    for planned in plan.artifacts:
        block = blocks.get(planned.label)
        if block is not None:
            key = numeric_key(plan, planned)
            rows = await store.call(Store.list_numeric, key.artifact_digest, key.data_digest)
            rows = _until(rows, job_id, planned.label)
            others = {row.device_id for row in rows} - {"", device_id}
            names = {other: await _name(store, other) for other in others}
            found[planned.label] = _evidence(planned, block, rows, names, blobs)
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


def _evidence(
    planned: plan_pb2.PlannedArtifact,
    block: result_pb2.BlockResult,
    rows: Sequence[NumericOutputs],
    names: dict[str, str],
    blobs: BlobStore,
) -> NumericEvidence:
    if not block.outputs_digest:
        return NumericEvidence(block=block, reason=block.error.message or "the device sent no outputs")
    theirs = _read(blobs, block.outputs_digest, "the device")
    if isinstance(theirs, str):
        return NumericEvidence(block=block, reason=theirs)
    same = [row for row in rows if row.key.batch_size == planned.batch_size]
    ours = [row for row in same if not row.device_id and row.key.layers_digest == planned.layers_digest]
    reference = _reference(ours, blobs)
    layers = layers_of(planned, blobs)
    return NumericEvidence(
        block=block,
        is_tflite=planned.format == common_pb2.ARTIFACT_FORMAT_TFLITE,
        outputs=theirs,
        reference=None if isinstance(reference, str) else reference,
        reference_runtime=ours[-1].runtime if ours else "",
        reason=reference if isinstance(reference, str) else "",
        form=model_form(layers),
        layers=layers,
        # Later rows replace earlier ones.
        others=tuple(_others({row.device_id: row for row in same if row.device_id in names}, names, blobs)),
    )


def _reference(ours: Sequence[NumericOutputs], blobs: BlobStore) -> CheckedOutputs | str:
    if not ours:
        return "the controller did not run this model on these inputs"
    return ours[-1].reason or _read(blobs, ours[-1].outputs_digest, "the controller")


def _others(newest: dict[str, NumericOutputs], names: dict[str, str], blobs: BlobStore) -> list[OtherOutputs]:
    others = []
    for device_id, row in list(newest.items())[-_MOST_OTHERS:]:
        outputs = _read(blobs, row.outputs_digest, names[device_id])
        if not isinstance(outputs, str):
            others.append(OtherOutputs(device=names[device_id], runtime=row.runtime, outputs=outputs))
    return others


def _read(blobs: BlobStore, digest: str, whose: str) -> CheckedOutputs | str:
    """Return outputs, or why they cannot be read: a damaged blob must not take the whole measurement with it."""
    try:
        return read_outputs(blobs.read_bytes(digest), whose)
    except SteelyardError as error:
        return str(error)
