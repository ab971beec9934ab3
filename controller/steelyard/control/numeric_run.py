"""After a job's rounds: what the device answered is kept by model and inputs, and the same model is run here."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from steelyard.control.job_world import JobWorld
from steelyard.control.numeric_evidence import numeric_key
from steelyard.numeric.messages import ReferenceRequest
from steelyard.numeric.reference import run_here
from steelyard.store.numeric_outputs import NumericKey, NumericOutputs
from steelyard.store.store import Store
from steelyard_protocol.v1 import plan_pb2, result_pb2


async def keep_numeric(
    world: JobWorld,
    plan: plan_pb2.Plan,
    rounds: Sequence[result_pb2.RoundResult],
    *,
    job_id: str,
    device_id: str,
    tell: Callable[[str], Awaitable[None]],
) -> None:
    """Record where the device's outputs lie, and run each model here that was not run on these inputs before.

    Raises:
        StoreError: the disk is full, mostly.
    """
    blocks = {
        block.label: block
        for one in rounds
        if one.pass_kind == result_pb2.PASS_NUMERIC
        for block in one.blocks
        if block.outputs_digest
    }
    for planned in plan.artifacts:
        block = blocks.get(planned.label)
        if block is None:
            continue
        key = numeric_key(plan, planned)
        theirs = NumericOutputs(
            key=key,
            outputs_digest=block.outputs_digest,
            device_id=device_id,
            job_id=job_id,
            label=planned.label,
            runtime=f"{block.runtime_name} {block.runtime_version}, {', '.join(block.providers)}",
        )
        await world.store.call_when_room(Store.record_numeric, theirs)
        known = await world.store.call(Store.list_numeric, key.artifact_digest, key.data_digest)
        if not any(one.key == key and not one.device_id and one.outputs_digest for one in known):
            await tell(f"numeric check: {planned.label} runs on the controller")
            await world.store.call_when_room(Store.record_numeric, await _run_here(world, key, planned))


async def _run_here(world: JobWorld, key: NumericKey, planned: plan_pb2.PlannedArtifact) -> NumericOutputs:
    blobs = world.blobs
    await asyncio.to_thread(world.work_directory.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="numeric-", dir=world.work_directory) as folder:
        out_path = Path(folder, "outputs.npz")
        answer = await run_here(
            ReferenceRequest(
                model_path=str(blobs.path(key.artifact_digest)),
                layers_path=str(blobs.path(key.layers_digest)) if key.layers_digest else "",
                data_path=str(blobs.path(key.data_digest)),
                format=planned.format,
                batch_size=key.batch_size,
                out_path=str(out_path),
            )
        )
        if answer.reason:
            return NumericOutputs(key=key, outputs_digest="", reason=answer.reason)
        digest = await asyncio.to_thread(blobs.put_file, out_path)
    return NumericOutputs(key=key, outputs_digest=digest, runtime=answer.runtime)
