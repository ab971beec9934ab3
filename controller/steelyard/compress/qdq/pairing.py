"""Read a quantized model and fold its float ancestor, so that both have the same names."""

from __future__ import annotations

from pathlib import Path

from steelyard.compress.contract import StepContext
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.folding import fold
from steelyard.compress.qdq.graph import QdqGraph


def read_pair(model_path: Path, float_path: Path, work_dir: Path, *, kind: str) -> QdqGraph:
    """Return a QDQ model beside its float ancestor, folded into the opset of the QDQ model; ``kind`` names who asks.

    Raises:
        CompressionInputError: no_quantized_layers, or a model that did not come from this ancestor.
        CompressionError: the ancestor cannot be folded.
    """
    import onnx

    model = onnx.load_model(model_path)
    opset = max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)
    fold(float_path, folded_path(work_dir, kind), min_opset=opset)
    graph = QdqGraph(model, onnx.load_model(folded_path(work_dir, kind)))
    if not graph.layers:
        raise CompressionInputError(
            "no_quantized_layers",
            f"{kind} works on layers with stored 8-bit weights behind DequantizeLinear, and this model has none; put "
            "static-int8 before it",
        )
    return graph


def folded_path(work_dir: Path, kind: str) -> Path:
    """Return where the folded float ancestor is kept as long as the step runs."""
    return work_dir / f"{kind}-folded.onnx"


def pair_of(model_path: Path, context: StepContext, *, kind: str) -> QdqGraph:
    """Return the model of a step beside the float ancestor of its recipe.

    Raises:
        CompressionInputError, CompressionError: as ``read_pair``, and no_float_ancestor.
    """
    return read_pair(model_path, context.float_ancestor(kind).path, context.work_dir, kind=kind)
