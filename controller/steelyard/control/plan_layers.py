"""The layers of the artifacts of a plan, from their stored files."""

from __future__ import annotations

from steelyard.analysis.layer_message import layers_message
from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.errors import UsageError
from steelyard.layers.contract import LayerTable
from steelyard.layers.read import read_layers
from steelyard.store.blobs import BlobStore
from steelyard_protocol.v1 import control_pb2, plan_pb2


def layers_of_plan(plan: plan_pb2.Plan, blobs: BlobStore) -> list[control_pb2.ArtifactLayers]:
    """Return the layers of each artifact, or why they are not known; nothing for a plan that looks at none.

    Reads and infers every model: run in a thread.
    """
    if not (plan.HasField("operators") or plan.HasField("roofline") or plan.numeric.data_digest):
        return []
    return [layers_message(planned.label, _layers_of(planned, blobs)) for planned in plan.artifacts]


def _layers_of(planned: plan_pb2.PlannedArtifact, blobs: BlobStore) -> LayerTable | str:
    """Return the layers of one artifact, or why they are not known."""
    shapes = {name: tuple(shape.sizes) for name, shape in planned.input_shapes.items()}
    try:
        return read_layers(
            blobs.path(planned.artifact_digest), input_shapes=shapes, batch_size=max(1, planned.batch_size)
        )
    except (InvalidModelError, UsageError, OSError) as error:
        return f"multiply-accumulates are not known: {error}"
