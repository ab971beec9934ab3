"""Shared values in the weights of TFLite models: what the step "share-weights" does for this format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.contract import Step, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe import step_settings
from steelyard.compress.tflite.conditions import float_graph
from steelyard.compress.tflite.flatbuffer_model import as_bytes, write_model
from steelyard.compress.tflite.settings import refuse_unhonoured, setting
from steelyard.compress.tools import tool_versions

_DEFAULT_CLUSTERS = 32
# It settles within a few dozen rounds; the bound is for values that alternate by rounding.
_MOST_ROUNDS = 100
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


def clustered(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return an array of at most ``count`` different values, each the mean of what it stands for; zero stays zero.

    The work grows with the values' sorting, not with their number times ``count``: clusters of one dimension are
    intervals.
    """
    flat = values.reshape(-1)
    ordered = np.sort(flat.astype(np.float64))
    if len(np.unique(ordered)) <= count:
        return values
    # A zero that became something else would undo what sparsify did.
    has_zeros = bool((ordered == 0).any())
    ordered = ordered[ordered != 0] if has_zeros else ordered
    means = _means(ordered, count - has_zeros)
    nearest = np.searchsorted((means[1:] + means[:-1]) / 2, flat)
    shared = np.where((flat == 0) & has_zeros, 0.0, means[nearest])
    return shared.astype(np.float32).reshape(values.shape)


def _means(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    means = np.linspace(ordered[0], ordered[-1], count)
    for _round in range(_MOST_ROUNDS):
        places = np.searchsorted(ordered, (means[1:] + means[:-1]) / 2)
        starts, ends = np.concatenate([[0], places]), np.concatenate([places, [len(ordered)]])
        sizes = ends - starts
        # A cluster without values keeps its place.
        following = np.where(sizes > 0, (sums[ends] - sums[starts]) / np.maximum(sizes, 1), means)
        if np.array_equal(following, means):
            break
        means = following
    return means
