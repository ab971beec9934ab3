"""Shared values in the weights of TFLite models: what the step "share-weights" does for this format."""

from __future__ import annotations

from pathlib import Path

from steelyard.compress.contract import Step, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe import step_settings
from steelyard.compress.tflite.conditions import float_graph
from steelyard.compress.tflite.flatbuffer_model import as_bytes, write_model
from steelyard.compress.tflite.settings import refuse_unhonoured, setting
from steelyard.compress.tools import tool_versions
from steelyard.compress.weights.clustering import clustered

_DEFAULT_CLUSTERS = 32
_HONOURED: dict[str, tuple[object, ...]] = {"clusters": tuple(range(2, 257)), "store": ("values",)}
_INSTEAD = {
    "clusters": "and 2 to 256 can be told apart by one byte; write a number between",
    "store": 'while LiteRT has no operator that looks weights up; write store = "values"',
}


def share_weights(step: Step, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model with as few different weights a layer as ``step.clusters`` says, in dense float32 storage.

    Values are those of k-means in one dimension, begun with values spread evenly over the range (Han et al., "Deep
    Compression", 2016, section 3). A layer with fewer different values than that stays as it is.

    Raises:
        CompressionInputError: unsupported_setting, nothing_to_share, or the model does not suit this format.
        CompressionError: the file cannot be read or written.
    """
    refuse_unhonoured(step, _HONOURED, _INSTEAD)
    graph = float_graph(model_path, step.kind)
    count = setting(step, "clusters", _DEFAULT_CLUSTERS)
    assert isinstance(count, int), "the step has checked that it is a number"
    layers = list(graph.weights())
    if not layers:
        raise CompressionInputError(
            "nothing_to_share", f"{model_path.name} has no layer with float32 weights; share-weights works on those"
        )
    for done, (_operator, tensor, values) in enumerate(layers):
        context.progress("clustering weights", done, len(layers))
        graph.model.buffers[graph.tensors[tensor].buffer].data = as_bytes(clustered(values, count))
    write_model(graph.model, out_path)
    context.progress("clustering weights", len(layers), len(layers))
    note = (
        f"the weights of {len(layers)} layers have {count} different values each; the file compresses well, and the "
        "model runs at the same speed"
    )
    return StepReport(
        settings=step_settings(step), tool_versions=tool_versions("ai-edge-litert", "numpy"), notes=(note,)
    )
