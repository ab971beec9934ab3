"""Compare a lifted module with onnxruntime, and find the first layer that differs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from steelyard.compress.sessions import open_session, run_bounded
from steelyard.train.errors import LiftError
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.lift.lifting import ONNX_NAME
from steelyard.train.lift.samples import draw_samples, with_batch_of_file
from steelyard.train.lift.source import TORCH_FREE, read_source

_Arrays = Mapping[str, NDArray[Any]]


def check_lifted(path: Path, lifted: LiftedModel, *, tolerance: float) -> float:
    """Return the largest relative difference between a module and its file on drawn inputs.

    Raises:
        LiftError: outputs_differ: more than ``tolerance``, naming the first layer that differs by so much.
    """
    source = read_source(path)
    samples = with_batch_of_file(draw_samples(source, {one.name: one.sample_shape for one in lifted.inputs}))
    session = open_session(path)
    expected = dict(
        zip([one.name for one in session.get_outputs()], run_bounded(session, dict(samples.feed)), strict=True)
    )
    given = run_module(lifted, samples.feed)
    worst = max(relative_difference(given[name], expected[name]) for name in expected)
    if worst <= tolerance:
        return worst
    where = _first_difference(path, lifted, samples.feed, tolerance)
    raise LiftError(
        "outputs_differ",
        f"the module of {path.name} gives other outputs than onnxruntime, by {worst:.1e} of the largest where "
        f"{tolerance:.0e} is allowed{where}; report it with this model, or {TORCH_FREE}",
    )


def run_module(lifted: LiftedModel, feed: _Arrays) -> dict[str, NDArray[Any]]:
    """Return the outputs of a module by name."""
    with torch.no_grad():
        made = lifted.module(*(torch.from_numpy(np.asarray(feed[one.name])) for one in lifted.inputs))
    outputs = made if isinstance(made, tuple) else (made,)
    return {one.name: output.numpy() for one, output in zip(lifted.outputs, outputs, strict=True)}


def relative_difference(given: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference as a share of the largest magnitude expected; infinite for another shape."""
    if given.shape != expected.shape:
        return float("inf")
    if not expected.size:
        return 0.0
    if expected.dtype.kind == "b":
        return float((given != expected).any())
    given, expected = given.astype(np.float64), expected.astype(np.float64)
    same = (given == expected) | (np.isnan(given) & np.isnan(expected))
    if same.all():
        return 0.0
    difference = np.abs(np.where(same, 0.0, given - expected)).max()
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 0.0
    return float(difference) / scale if scale > 0 and np.isfinite(difference) else float("inf")


def _first_difference(path: Path, lifted: LiftedModel, feed: _Arrays, tolerance: float) -> str:
    values = _values_by_name(lifted, feed)
    with tempfile.TemporaryDirectory() as folder:
        every = _all_outputs(path, Path(folder) / "every.onnx", list(values))
        session = open_session(every)
        names = [one.name for one in session.get_outputs()]
        expected = dict(zip(names, run_bounded(session, dict(feed)), strict=True))
    for name, given in values.items():
        if name in expected and relative_difference(given, expected[name]) > tolerance:
            return f", first in what makes {name!r}"
    return ""


def _values_by_name(lifted: LiftedModel, feed: _Arrays) -> dict[str, NDArray[Any]]:
    """Return what the module computes, by its name in the ONNX graph, in order."""
    kept: dict[str, NDArray[Any]] = {}

    class Recorder(fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: fx.Node) -> Any:
            made = super().run_node(node)
            if ONNX_NAME in node.meta and isinstance(made, torch.Tensor):
                kept[node.meta[ONNX_NAME]] = made.detach().numpy()
            return made

    with torch.no_grad():
        Recorder(lifted.module).run(*(torch.from_numpy(np.asarray(feed[one.name])) for one in lifted.inputs))
    return kept


def _all_outputs(path: Path, out_path: Path, names: list[str]) -> Path:
    """Write the model with each named value as an output."""
    import onnx

    model = onnx.load_model(path)
    known = {name for node in model.graph.node for name in node.output}
    there = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name in known - there)
    onnx.save_model(model, out_path)
    return out_path
