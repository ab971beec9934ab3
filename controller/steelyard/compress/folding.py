"""Prepare a float model for quantization: shapes inferred, constants and BatchNorm folded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.artifact_formats.onnx_tensors import iter_nodes
from steelyard.compress.sessions import ONLY_ERRORS
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from onnx import ModelProto

# What onnxruntime's quantizers look for; without it they advise to run their own preprocessing.
_PREPROCESSED_KEY = "onnx.quant.pre_process"
_BIAS_INPUT = 2


def fold(model_path: Path, out_path: Path, *, min_opset: int = 0) -> None:
    """Write the model with onnxruntime's basic optimizations (standard operators only) and ONNX shape inference.

    The symbolic shape inference of onnxruntime needs sympy and is not used. Optimization happens here, before
    quantization, never during it: the quantizer must see the graph that it changes.

    A model of an opset below ``min_opset`` is converted to it first.

    Raises:
        CompressionError: the model cannot be converted or optimized.
    """
    import onnx
    import onnxruntime

    source_path = _converted(model_path, out_path.with_suffix(".converted.onnx"), min_opset)
    optimized_path = out_path.with_suffix(".optimized.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(optimized_path)
    options.log_severity_level = ONLY_ERRORS
    with tool_errors("folding constants and BatchNorm"):
        onnxruntime.InferenceSession(str(source_path), options, providers=["CPUExecutionProvider"])
        onnx.shape_inference.infer_shapes_path(str(optimized_path), str(out_path))
        model = onnx.load_model(out_path)
        _flatten_gemm_biases(model)
        entry = model.metadata_props.add()
        entry.key, entry.value = _PREPROCESSED_KEY, "onnxruntime.quant"
        onnx.save_model(model, out_path)
    optimized_path.unlink()


def _converted(model_path: Path, converted_path: Path, min_opset: int) -> Path:
    """Return ``model_path``, or ``converted_path`` with the same model in ``min_opset`` when its own is lower."""
    import onnx

    model = onnx.load_model(model_path)
    opset = max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=min_opset)
    if opset >= min_opset:
        return model_path
    with tool_errors(f"converting the model from opset {opset} to {min_opset}"):
        onnx.save_model(onnx.version_converter.convert_version(model, min_opset), converted_path)
    return converted_path


def _flatten_gemm_biases(model: ModelProto) -> None:
    """Store biases [1, N] that only Gemm reads as [N]: the same sum, and the form that quantizers understand.

    onnxruntime makes such biases itself out of MatMul and Add, and its quantizer (1.32) then fails on them per channel.
    """
    uses: dict[str, set[tuple[str, int]]] = {}
    for node in iter_nodes(model):
        for index, name in enumerate(node.input):
            uses.setdefault(name, set()).add((node.op_type, index))
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 2 and tensor.dims[0] == 1 and uses.get(tensor.name) == {("Gemm", _BIAS_INPUT)}:
            size = tensor.dims[1]
            del tensor.dims[:]
            tensor.dims.append(size)
