"""Gather what adaptive rounding of a layer needs: its inputs in the quantized model, its outputs in the float model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.qdq.activation_bounds import activation_bounds
from steelyard.compress.qdq.graph import QdqGraph, Unit, to_array
from steelyard.compress.qdq.layer_outputs import Reconstruction
from steelyard.compress.qdq.layer_rows import LayerRows
from steelyard.compress.qdq.pruning import exposed
from steelyard.compress.qdq.running import Runner, feeds

if TYPE_CHECKING:
    from onnx import ModelProto

# Rows of one layer: what holds it to this, or this many.
_MOST_BYTES = 64 * 1024 * 1024
_MOST_ROWS = 4096
# A matrix product has one row a sample: it reads more samples than were asked for, up to this many rows.
_LEAST_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProblem:
    """A layer, its rows and columns, and what to reproduce."""

    unit: Unit
    rows: LayerRows
    stored: NDArray[Any]
    reconstruction: Reconstruction


def layer_problem(
    graph: QdqGraph, model: ModelProto, unit: Unit, data: CalibrationData, *, sample_count: int, seed: int
) -> LayerProblem | str:
    """Return the problem of one layer of ``model``, the graph's model as repaired so far, or why there is none."""
    assert unit.weight is not None
    weight = graph.float_weight(unit)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    stored = to_array(tensors[unit.weight.name])
    if not LayerRows.takes(unit, weight.ndim):
        return "its arithmetic is not among those that are learnt"
    if unit.bias is None and len(unit.node.input) > 2 and unit.node.input[2] not in {"", *tensors}:
        return "its bias is computed"
    if stored.dtype not in (np.int8, np.uint8):
        return "its weights are no 8-bit integers"
    scale, zero_point = graph.scales(unit.weight)
    steps = weight / scale + zero_point
    if np.abs(np.clip(np.rint(steps), int(stored.min()), int(stored.max())) - stored.astype(np.int64)).max() > 1:
        return "its weights are not those of the float model"
    rows = LayerRows(unit, weight.shape)
    inputs, targets = _gathered(graph, model, unit, rows, data, sample_count, seed)
    shape = weight.shape
    low, high = activation_bounds(graph, unit)
    return LayerProblem(
        unit=unit,
        rows=rows,
        stored=stored,
        reconstruction=Reconstruction(
            rows=inputs,
            target=targets,
            steps=rows.to_columns(steps.astype(np.float32)),
            scale=rows.to_columns(np.broadcast_to(scale, shape))[:, :1].astype(np.float32),
            zero_point=rows.to_columns(np.broadcast_to(zero_point, shape))[:, :1].astype(np.float32),
            bias=_bias(graph, model, unit, rows.groups, targets.shape[-1]),
            least=int(stored.min()),
            most=int(stored.max()),
            low=low,
            high=high,
        ),
    )


def _gathered(
    graph: QdqGraph,
    model: ModelProto,
    unit: Unit,
    rows: LayerRows,
    data: CalibrationData,
    sample_count: int,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    quantized = Runner(exposed(model, [unit.node.input[0]]))
    exact = Runner(exposed(graph.float_model, [unit.float_node.output[0]]))
    size = data.batch(exact.batch_size)
    batch_count = max(1, min(sample_count, data.sample_count) // size)
    most_rows = min(_MOST_ROWS, max(256, _MOST_BYTES // (4 * rows.groups * rows.products)))
    rng = np.random.default_rng(seed)
    found: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    sample_total = row_total = 0
    for feed in feeds(data, size, max(sample_count, _LEAST_ROWS)):
        if sample_total >= sample_count and row_total >= _LEAST_ROWS:
            break
        drawn = rows.drawn(quantized.run(feed)[0], exact.run(feed)[0], -(-most_rows // batch_count), rng)
        found.append(drawn)
        sample_total, row_total = sample_total + size, row_total + drawn[0].shape[1]
    inputs, targets = (np.concatenate(parts, axis=1, dtype=np.float32) for parts in zip(*found, strict=True))
    order = rng.permutation(inputs.shape[1])
    return inputs[:, order], targets[:, order]


def _bias(graph: QdqGraph, model: ModelProto, unit: Unit, groups: int, outputs: int) -> NDArray[np.float32]:
    """Return the bias [g, 1, M] that the quantized layer adds; repairs before this one may have moved it."""
    name = unit.node.input[2] if len(unit.node.input) > 2 else ""
    if not name:
        return np.zeros((groups, 1, outputs), dtype=np.float32)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    if unit.bias is None:
        values = to_array(tensors[name])
    else:
        scale, zero_point = graph.scales(unit.bias)
        values = (to_array(tensors[unit.bias.name]).astype(np.float64) - zero_point) * scale
    return np.broadcast_to(values.reshape(-1), (groups * outputs,)).reshape(groups, 1, outputs).astype(np.float32)
