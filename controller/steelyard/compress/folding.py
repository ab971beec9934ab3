"""Prepare a float model for quantization: shapes inferred, constants and BatchNorm folded, every node with a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compress.errors import CompressionError
from steelyard.compress.model_form import op_counts
from steelyard.compress.preparation.batchnorm import fold_batchnorms
from steelyard.compress.preparation.body_reads import keep_body_reads
from steelyard.compress.preparation.gemm import plain_gemms
from steelyard.compress.preparation.hard_swish import whole_hard_swishes
from steelyard.compress.preparation.node_names import name_nodes
from steelyard.compress.sessions import ONLY_ERRORS
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from onnx import ModelProto

# What onnxruntime's quantizers look for; without it they advise to run their own preprocessing.
_PREPROCESSED_KEY = "onnx.quant.pre_process"
# From IR version 4 on, stored tensors need not be inputs of the graph.
CONSTANTS_IR_VERSION = 4
# Gelu came to the standard operators with opset 20.
_ONE_OPERATOR_OPSET = 20
_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})


def fold(model_path: Path, out_path: Path, *, min_opset: int = 0) -> None:
    """Write the model with onnxruntime's basic optimizations (standard operators only) and ONNX shape inference.

    BatchNorm that these leave is folded where that is exact, factors of Gemm go into its weights, HardSwish spelled out
    becomes two operators, and every node gets a name of its own. The symbolic shape inference of onnxruntime needs
    sympy and is not used. Optimization happens here, before quantization, never during it: the quantizer must see the
    graph that it changes.

    A model of an opset below ``min_opset`` is converted to it first. The same model gives the same bytes.

    Raises:
        CompressionError: the model cannot be converted or optimized.
    """
    import onnx
    import onnxruntime

    source_path = out_path.with_suffix(".converted.onnx")
    optimized_path = out_path.with_suffix(".optimized.onnx")
    onnx.save_model(_converted(inlined(onnx.load_model(model_path)), min_opset), source_path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(optimized_path)
    options.intra_op_num_threads = 1
    options.log_severity_level = ONLY_ERRORS
    with tool_errors("folding constants and BatchNorm"):
        onnxruntime.InferenceSession(str(source_path), options, providers=["CPUExecutionProvider"])
        model = onnx.load_model(optimized_path)
        fold_batchnorms(model)
        plain_gemms(model)
        whole_hard_swishes(model)
        name_nodes(model)
        onnx.save_model(model, optimized_path)
        onnx.shape_inference.infer_shapes_path(str(optimized_path), str(out_path))
        model = onnx.load_model(out_path)
        entry = model.metadata_props.add()
        entry.key, entry.value = _PREPROCESSED_KEY, "onnxruntime.quant"
        onnx.save_model(model, out_path)
    source_path.unlink()
    optimized_path.unlink()


def fold_for_kernels(model_path: Path, out_path: Path, *, least_opset: int) -> None:
    """Fold into ``least_opset``, or into opset 20 for a model that spells GELU or LayerNorm out.

    Those are one standard operator from opset 20 and 17 on, which folding makes of them. In a quantized model the
    runtime no longer finds them, since every reader gets a DequantizeLinear of its own (onnxruntime 1.32). Bodies of
    control flow read clipped tensors through an Identity (``preparation.body_reads``).

    Raises:
        CompressionError: the model cannot be converted or optimized.
    """
    import onnx

    counts = op_counts(onnx.load_model(model_path))
    opset = least_opset
    if counts["Erf"] or (counts["ReduceMean"] and counts["Sqrt"]):
        opset = max(least_opset, _ONE_OPERATOR_OPSET)
    try:
        fold(model_path, out_path, min_opset=opset)
    except CompressionError:
        if opset == least_opset:
            raise
        fold(model_path, out_path, min_opset=least_opset)
    model = onnx.load_model(out_path)
    if keep_body_reads(model):
        onnx.save_model(model, out_path)


def inlined(model: ModelProto) -> ModelProto:
    """Return the model with the nodes of its local functions in place of their calls.

    Converters lose functions, or do not look into them.
    """
    from onnx import inliner

    if not model.functions:
        return model
    with tool_errors("inlining the model's functions"):
        return inliner.inline_local_functions(model)


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operators that a model is written in, 0 for one that has none."""
    return max((entry.version for entry in model.opset_import if entry.domain in _DEFAULT_DOMAINS), default=0)


def _converted(model: ModelProto, min_opset: int) -> ModelProto:
    """Return the model in ``min_opset`` when its own is lower, with stored tensors that are constants."""
    from onnx import defs, version_converter

    if min_opset > (latest := defs.onnx_opset_version()):
        raise CompressionError(
            "unknown_opset",
            f"opset {min_opset} is newer than {latest}, the last that onnx here knows; ask for that one",
        )
    _fix_constants(model)
    opset = opset_of(model)
    if not 0 < opset < min_opset:
        return model
    with tool_errors(f"converting the model from opset {opset} to {min_opset}"):
        return version_converter.convert_version(model, min_opset)


def _fix_constants(model: ModelProto) -> None:
    """Take stored tensors off the inputs: as inputs they are defaults that a caller may override, and never fold."""
    stored = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in stored]
    if len(kept) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(kept)
        model.ir_version = max(model.ir_version, CONSTANTS_IR_VERSION)
