"""The numeric check in a plan: asked for by a client, given its inputs by the controller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.numeric.drawing import Feed, draw_feeds, resolved_shapes
from steelyard.numeric.errors import NotCheckableError
from steelyard.numeric.feeds import drawn_feeds, pack_samples, task_feeds
from steelyard.numeric.instrument import with_layers
from steelyard.numeric.outputs import QUOTA_BYTES
from steelyard.store.blobs import BlobStore
from steelyard.tasks.errors import TaskError
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

_log = logging.getLogger(__name__)

_Artifacts = Mapping[str, control_pb2.Artifact]
_Inputs = Sequence[common_pb2.TensorSpec]


async def complete_numeric(
    blobs: BlobStore,
    request: control_pb2.SubmitMeasurementRequest,
    artifacts: _Artifacts,
    task: control_pb2.Task | None,
) -> None:
    """Make the inputs of the check, and the instrumented copies where layers are asked for.

    What cannot be made is no error: ``plan.numeric.reason`` says why nothing is checked.

    Args:
        blobs: where the inputs and the copies are kept.
        request: its plan is completed; without ``numeric`` in it nothing is done.
        artifacts: of the plan, by digest.
        task: whose first samples are taken; None to draw them by signature.
    """
    plan = request.plan
    for planned in plan.artifacts:
        planned.layers_digest, planned.layers_size_bytes = "", 0
    if not plan.HasField("numeric"):
        return
    spec = plan.numeric
    spec.data_digest, spec.data_size_bytes, spec.reason = "", 0, ""
    try:
        content, spec.sample_count = await asyncio.to_thread(_inputs, blobs, plan, artifacts, task)
    except (NotCheckableError, TaskError) as error:
        spec.reason = str(error)
        return
    spec.data_digest = await asyncio.to_thread(blobs.put_bytes, content)
    spec.data_size_bytes = len(content)
    spec.output_quota_bytes = QUOTA_BYTES
    if request.check_layers:
        for planned in plan.artifacts:
            if planned.format == common_pb2.ARTIFACT_FORMAT_ONNX:
                await asyncio.to_thread(_add_layers, blobs, planned)


def numeric_digests(plan: plan_pb2.Plan) -> frozenset[str]:
    """Return the blobs that the numeric check of a plan needs, beside the models."""
    return frozenset({plan.numeric.data_digest, *(one.layers_digest for one in plan.artifacts)} - {""})


def _inputs(
    blobs: BlobStore, plan: plan_pb2.Plan, artifacts: _Artifacts, task: control_pb2.Task | None
) -> tuple[bytes, int]:
    """Return the file of inputs and how many it has: as many as the largest batch takes at least."""
    count = max(1, plan.numeric.sample_count)
    if task is not None:
        batches = [_batch_size(one, artifacts[one.artifact_digest]) for one in plan.artifacts]
        return task_feeds(blobs.path(task.evaluation_digest), max(count, *batches))
    return drawn_inputs(plan, artifacts, count)


def drawn_inputs(plan: plan_pb2.Plan, artifacts: _Artifacts, count: int) -> tuple[bytes, int]:
    """Return inputs drawn by signature for every artifact of a plan, and how many there are.

    Where two artifacts want different ones under one name, those of the first stay, and the other one is not checked.

    Raises:
        NotCheckableError: nothing can be drawn, or it would be too large.
    """
    models = [(one, artifacts[one.artifact_digest].signature.inputs) for one in plan.artifacts]
    if all(_in_samples(planned, inputs) for planned, inputs in models):
        count = max([count, *(one.batch_size for one in plan.artifacts)])
        (feed,) = _drawn(plan, models, count=1, batch_size=count)
        return pack_samples(feed)
    return drawn_feeds(_drawn(plan, models, count=count))


def _in_samples(planned: plan_pb2.PlannedArtifact, inputs: _Inputs) -> bool:
    """Return whether every input is a stack of samples of any number: then each batch of the plan takes its own."""
    batches = {one.dimensions[0].symbol if one.dimensions else "" for one in inputs}
    elsewhere = {dimension.symbol for one in inputs for dimension in one.dimensions[1:] if dimension.symbol}
    is_open = all(one.dimensions and not one.dimensions[0].HasField("size") for one in inputs)
    return is_open and not planned.input_shapes and batches.isdisjoint(elsewhere)


def _drawn(
    plan: plan_pb2.Plan, models: Sequence[tuple[plan_pb2.PlannedArtifact, _Inputs]], *, count: int, batch_size: int = 0
) -> list[Feed]:
    feeds: list[Feed] = [{} for _ in range(count)]
    for planned, inputs in models:
        given = {name: tuple(shape.sizes) for name, shape in planned.input_shapes.items()}
        shapes = resolved_shapes(inputs, given, batch_size or planned.batch_size or 1)
        drawn = draw_feeds(inputs, shapes, seed=plan.inputs.seed, count=count, zeros=plan.mode.state_outputs)
        for feed, mine in zip(feeds, drawn, strict=True):
            feed.update({name: values for name, values in mine.items() if name not in feed})
    return feeds


def _batch_size(planned: plan_pb2.PlannedArtifact, artifact: control_pb2.Artifact) -> int:
    fixed = [one.dimensions[0].size for one in artifact.signature.inputs if one.dimensions]
    return max([1, planned.batch_size, *fixed])


def _add_layers(blobs: BlobStore, planned: plan_pb2.PlannedArtifact) -> None:
    """Add the instrumented copy; without one the result says that no layer was looked at."""
    shapes = {name: tuple(shape.sizes) for name, shape in planned.input_shapes.items()}
    try:
        path = blobs.path(planned.artifact_digest)
        content = with_layers(path, input_shapes=shapes, batch_size=max(1, planned.batch_size))
    except (NotCheckableError, InvalidModelError, OSError) as error:
        _log.info("no layers of %s: %s", planned.label, error)
        return
    planned.layers_digest, planned.layers_size_bytes = blobs.put_bytes(content), len(content)
