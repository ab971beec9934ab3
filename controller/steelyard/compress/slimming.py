"""Let onnxslim take what it can out of a model, and keep that only where the outputs stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steelyard.compress.errors import CompressionError
from steelyard.compress.preparation.node_names import name_nodes
from steelyard.compress.sessions import drawn_feed, open_session, run_bounded
from steelyard.compress.tools import tool_errors
from steelyard.errors import SteelyardError

# Fusions change the order of float32 sums: 1e-7 a product, and thousands of them.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4


def slim(path: Path, *, work_dir: Path, seed: int) -> tuple[str, ...]:
    """Replace the model in ``path`` by what onnxslim makes of it; return a note where it stays as it is.

    The outputs are compared on inputs drawn with ``seed``.
    """
    import onnx
    import onnxslim

    slimmed_path = work_dir / "slimmed.onnx"
    try:
        with tool_errors("onnxslim"):
            slimmed = onnxslim.slim(onnx.load_model(path))
            name_nodes(slimmed)
            onnx.save_model(slimmed, slimmed_path)
        difference = _difference(path, slimmed_path, seed)
    except SteelyardError as error:
        return (f"onnxslim was left out: {error}",)
    if difference:
        return (f"onnxslim was left out: {difference}",)
    slimmed_path.replace(path)
    return ()


def _difference(path: Path, slimmed_path: Path, seed: int) -> str:
    """Return what differs between two models on drawn inputs, "" when nothing does."""
    before, after = open_session(path), open_session(slimmed_path)
    feed = drawn_feed(before, seed)
    if isinstance(feed, str):
        return f"its outputs could not be compared ({feed})"
    if {spec.name for spec in after.get_inputs()} != set(feed):
        raise CompressionError("tool_failed", "onnxslim changed the inputs of the model")
    for spec, expected, given in zip(
        before.get_outputs(), run_bounded(before, feed), run_bounded(after, feed), strict=True
    ):
        same = expected.shape == given.shape and np.allclose(
            given, expected, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
        )
        if not same:
            return f"the output {spec.name!r} is not what it was"
    return ""
