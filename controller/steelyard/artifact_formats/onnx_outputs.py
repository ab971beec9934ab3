"""Outputs whose types or shapes an exporter left out: runtimes run such models, the ONNX standard asks for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


def complete_outputs(model: ModelProto) -> tuple[str, ...]:
    """Write inferred types and shapes to outputs that have none, and return the names of those outputs.

    An output of which nothing could be inferred stays as it is.
    """
    import onnx

    bare = {value.name for value in model.graph.output if not _is_complete(value)}
    if not bare:
        return ()
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # noqa: BLE001  (whatever it raises of a malformed model is told better by the check that follows)
        return ()
    known = {value.name: value for value in (*inferred.graph.output, *inferred.graph.value_info) if _is_complete(value)}
    completed = []
    for value in model.graph.output:
        if value.name in bare and value.name in known:
            value.type.CopyFrom(known[value.name].type)
            completed.append(value.name)
    return tuple(completed)


def _is_complete(value: ValueInfoProto) -> bool:
    kind = value.type.WhichOneof("value")
    if kind is None:
        return False
    return bool(kind != "tensor_type" or value.type.tensor_type.HasField("shape"))
