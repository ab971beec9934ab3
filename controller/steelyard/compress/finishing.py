"""Give a variant its final bytes: without the traces that tools leave, the same for the same model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.artifact_formats.onnx_tensors import iter_nodes
from steelyard.compress.folding import CONSTANTS_IR_VERSION
from steelyard.compress.preparation.node_order import sort_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

_TOOL_TRACES = frozenset({"onnx.infer", "onnx.quant.pre_process"})
_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})


def final_bytes(model_path: Path) -> bytes:
    """Return the bytes of a model with sorted nodes, without tool traces, and tensors and domains that nothing uses."""
    import onnx

    model = onnx.load_model(model_path)
    sort_nodes(model.graph)
    _name_ir_version(model)
    _drop_traces(model)
    _drop_unused_tensors(model)
    _drop_unused_domains(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _name_ir_version(model: ModelProto) -> None:
    # Below IR version 4 every stored tensor must be an input, too; the tensors that steps add are none.
    inputs = {value.name for value in model.graph.input}
    if any(tensor.name not in inputs for tensor in model.graph.initializer):
        model.ir_version = max(model.ir_version, CONSTANTS_IR_VERSION)


def _drop_traces(model: ModelProto) -> None:
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in _TOOL_TRACES]
    model.ClearField("metadata_props")
    for key, value in kept:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def _drop_unused_tensors(model: ModelProto) -> None:
    # onnxruntime's quantizer leaves the grid of an output that stays float, and onnxruntime warns of it at each load.
    used = {name for node in iter_nodes(model) for name in node.input}
    used |= {value.name for value in (*model.graph.input, *model.graph.output)}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    if len(kept) < len(model.graph.initializer):
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)


def _drop_unused_domains(model: ModelProto) -> None:
    # onnxruntime declares every domain that it knows; a runtime that lacks one would refuse the model for nothing.
    used = {node.domain for node in iter_nodes(model)} | {function.domain for function in model.functions}
    kept = [(entry.domain, entry.version) for entry in model.opset_import]
    model.ClearField("opset_import")
    for domain, version in kept:
        if domain in used or domain in _DEFAULT_DOMAINS:
            entry = model.opset_import.add()
            entry.domain, entry.version = domain, version
