"""Compare a lifted module with onnxruntime, and find the first layer that differs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from steelyard.train.errors import LiftError
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.lift.lifting import ONNX_NAME
from steelyard.train.lift.recording import values_of
from steelyard.train.lift.samples import draw_samples, with_batch_of_file
from steelyard.train.lift.source import TORCH_FREE, read_source
from steelyard.train.parity import Arrays, file_outputs, largest_difference, module_outputs, relative_difference


def check_lifted(path: Path, lifted: LiftedModel, *, tolerance: float) -> float:
    """Return the largest relative difference between a module and its file on drawn inputs.

    Raises:
        LiftError: outputs_differ: more than ``tolerance``, naming the first layer that differs by so much.
    """
    source = read_source(path)
    shapes = {one.name: one.sample_shape for one in lifted.inputs}
    below = max((one.below for one in lifted.inputs), default=0)
    samples = with_batch_of_file(draw_samples(source, shapes, keep_batch=not lifted.takes_any_batch, below=below))
    given = module_outputs(lifted.module, samples.feed, inputs=lifted.input_names, outputs=lifted.output_names)
    worst = largest_difference(given, file_outputs(path, samples.feed))
    if worst <= tolerance:
        return worst
    if any(array.dtype == np.float16 for array in source.stored.values()):
        raise LiftError(
            "half_precision",
            f"{path.name} has weights in float16, which training here does not compute with as onnxruntime does; give "
            f"the float32 model that it came from, or {TORCH_FREE}",
        )
    where = _first_difference(path, lifted, samples.feed, tolerance)
    raise LiftError(
        "outputs_differ",
        f"the module of {path.name} gives other outputs than onnxruntime, by {worst:.1e} of the largest where "
        f"{tolerance:.0e} is allowed{where}; report it with this model, or {TORCH_FREE}",
    )


def _first_difference(path: Path, lifted: LiftedModel, feed: Arrays, tolerance: float) -> str:
    values = _values_by_name(lifted, feed)
    with tempfile.TemporaryDirectory() as folder:
        every = _all_outputs(path, Path(folder) / "every.onnx", list(values))
        expected = file_outputs(every, feed)
    for name, given in values.items():
        if name in expected and relative_difference(given, expected[name]) > tolerance:
            return f", first in what makes {name!r}"
    return ""


def _values_by_name(lifted: LiftedModel, feed: Arrays) -> dict[str, NDArray[Any]]:
    """Return what the module computes, by its name in the ONNX graph, in order."""
    arguments = [torch.from_numpy(np.asarray(feed[one.name])) for one in lifted.inputs]
    return {
        node.meta[ONNX_NAME]: made.detach().numpy()
        for node, made in values_of(lifted.module, arguments).items()
        if ONNX_NAME in node.meta and isinstance(made, torch.Tensor)
    }


def _all_outputs(path: Path, out_path: Path, names: list[str]) -> Path:
    """Write the model with each named value as an output."""
    import onnx

    model = onnx.load_model(path)
    known = {name for node in model.graph.node for name in node.output}
    there = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name in known - there)
    onnx.save_model(model, out_path)
    return out_path
