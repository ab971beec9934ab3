"""One compression: in a process of its own, its result registered as a variant with its lineage."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from steelyard.compress.process import compress_in_process
from steelyard.compress.recipe_text import parse_recipe
from steelyard.control.job_world import JobWorld
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2


async def compress_job(world: JobWorld, job_id: str, request: control_pb2.SubmitCompressionRequest) -> None:
    """Compress an artifact and end the job with the variant's digest; raises SteelyardError when it cannot be made."""
    parent = await world.store.call(Store.find_artifact, request.artifact_digest)
    recipe = parse_recipe(request.recipe_toml)
    world.work_directory.mkdir(parents=True, exist_ok=True)

    running = control_pb2.JOB_STATE_RUNNING
    notes: set[asyncio.Task[object]] = set()

    def on_progress(message: str, done: int, total: int) -> None:
        work = world.store.call(Store.transition, job_id, running, message=message, done=done, total=total)
        note = asyncio.ensure_future(work)
        notes.add(note)
        note.add_done_callback(notes.discard)

    features = await world.devices.processor_features(request.device)
    on_progress(f"{recipe.name} of {parent.name}", 0, len(recipe.step_list))
    with tempfile.TemporaryDirectory(dir=world.work_directory, prefix="compress-") as work:
        calibration = Path(work) / "calibration.npz"
        if request.task_id:
            task = await world.store.call(Store.get_task, request.task_id)
            if task.calibration_digest:
                calibration.write_bytes(world.blobs.read_bytes(task.calibration_digest))
        result = await compress_in_process(
            world.blobs.path(parent.digest),
            recipe,
            calibration_path=calibration if calibration.exists() else None,
            seed=request.seed,
            processor_features=features,
            out_dir=Path(work),
            progress=on_progress,
        )
        digest = world.blobs.put_file(result.path)
    result.lineage.parent_digest = parent.digest
    variant = await world.models.create_artifact(digest, f"{parent.name}-{recipe.name}", result.lineage)
    await world.store.call(
        Store.transition,
        job_id,
        control_pb2.JOB_STATE_RECORDED,
        message=f"made {variant.name} ({digest[:12]}, {variant.size_bytes:,} bytes)",
        variant_digest=digest,
        done=len(recipe.step_list),
        total=len(recipe.step_list),
    )
