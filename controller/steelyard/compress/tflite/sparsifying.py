"""Zeros in the weights of TFLite models: what the step "sparsify" does for this format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.compress.contract import Step, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe import step_settings
from steelyard.compress.tflite.conditions import float_graph
from steelyard.compress.tflite.flatbuffer_model import as_bytes, write_model
from steelyard.compress.tflite.graph import Graph, outputs_of
from steelyard.compress.tflite.settings import setting
from steelyard.compress.tools import tool_versions
from steelyard.compress.weights.zeroing import Weights, n_of_m, without_smallest, without_smallest_blocks

# A depthwise convolution has a few weights, and a whole channel hangs on them.
_SPARSIFIED = frozenset({"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"})
_DENSE_NOTE = (
    "in dense storage zeros run at the same speed and make a file that compresses well; sparse-encoding stores them as "
    "XNNPACK runs them on Arm"
)
_N_OF_M = re.compile(r"([0-9]+):([0-9]+)")


def sparsify(step: Step, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
    """Write the model with the smallest weights of convolutions and matrix products at zero, in dense storage.

    ``step`` has the settings ``sparsity``, ``pattern``, ``block``, ``scope`` and ``keep``.

    Raises:
        CompressionInputError: nothing_to_sparsify, or the model does not suit this format.
        CompressionError: the file cannot be read or written.
    """
    context.progress("choosing weights", 0, 1)
    graph = float_graph(model_path, step.kind)
    keep = tuple(str(one) for one in _listed(setting(step, "keep", ())))
    chosen = [
        (tensor, values)
        for operator, tensor, values in graph.weights()
        if graph.kind(operator) in _SPARSIFIED and not _is_kept(graph, operator, tensor, keep)
    ]
    if not chosen:
        raise CompressionInputError(
            "nothing_to_sparsify",
            f"{model_path.name} has no convolution or matrix product with float32 weights that keep leaves; sparsify "
            "works on those",
        )
    for (tensor, _values), changed in zip(chosen, _zeroed(step, [values for _, values in chosen]), strict=True):
        graph.model.buffers[graph.tensors[tensor].buffer].data = as_bytes(changed)
    write_model(graph.model, out_path)
    context.progress("choosing weights", 1, 1)
    return StepReport(
        settings=step_settings(step),
        tool_versions=tool_versions("ai-edge-litert", "numpy"),
        notes=_notes(graph, chosen),
    )


def _zeroed(step: Step, weights: list[Weights]) -> list[Weights]:
    share, pattern = _number(setting(step, "sparsity", 0.5)), str(setting(step, "pattern", "unstructured"))
    n_and_m = _N_OF_M.fullmatch(pattern)
    if n_and_m:
        return [n_of_m(one, int(n_and_m[1]), int(n_and_m[2])) for one in weights]
    groups = [weights] if setting(step, "scope", "global") == "global" else [[one] for one in weights]
    if pattern == "block":
        rows, columns = (round(_number(one)) for one in _listed(setting(step, "block", (4, 1))))
        return [one for group in groups for one in without_smallest_blocks(group, share, (rows, columns))]
    return [one for group in groups for one in without_smallest(group, share)]


def _is_kept(graph: Graph, operator: Any, tensor: int, globs: Sequence[str]) -> bool:
    names = [graph.name(tensor), *(graph.name(output) for output in outputs_of(operator))]
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def _notes(graph: Graph, chosen: list[tuple[int, Weights]]) -> tuple[str, ...]:
    after = [values for tensor, _ in chosen if (values := graph.values(tensor)) is not None]
    zero_count, weight_count = sum(int((one == 0).sum()) for one in after), sum(one.size for one in after)
    left = sum(graph.kind(operator) == "DEPTHWISE_CONV_2D" for operator in graph.operators)
    share = 100 * zero_count / weight_count
    notes = [
        f"{zero_count:,} of {weight_count:,} weights in {len(chosen)} layers are zero ({share:.1f} %)",
        _DENSE_NOTE,
    ]
    if left:
        notes.append(f"{left} depthwise convolutions were left as they are: a channel hangs on a few weights there")
    return tuple(notes)


def _number(value: object) -> float:
    assert isinstance(value, int | float | np.floating), f"the step has checked that {value!r} is a number"
    return float(value)


def _listed(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()
