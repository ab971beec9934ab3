"""What goes into a model and what comes out, for programs: signature.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from steelyard.report.shapes import dimension
from steelyard_protocol.v1 import common_pb2, control_pb2

EXPORT_KIND = "export"
_SCHEMA_VERSION = 1
_SUFFIXES = {common_pb2.ARTIFACT_FORMAT_ONNX: "onnx", common_pb2.ARTIFACT_FORMAT_TFLITE: "tflite"}


def model_file_name(artifact: control_pb2.Artifact) -> str:
    """Return the name of the model file in an export: "model.onnx"."""
    return f"model.{_SUFFIXES.get(artifact.format, 'bin')}"


def signature_document(
    artifact: control_pb2.Artifact, *, task: control_pb2.Task | None, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Return the signature as JSON-ready data; a dynamic dimension is its name, or null when it has none.

    Args:
        artifact: whose signature it is.
        task: whose inputs the model was evaluated with, if any.
        shapes: sizes that dynamic inputs were measured with, by input name.
    """
    return {
        "schema_version": _SCHEMA_VERSION,
        "kind": EXPORT_KIND,
        "artifact_digest": artifact.digest,
        "name": artifact.name,
        "file": model_file_name(artifact),
        "format": _SUFFIXES.get(artifact.format, "unknown"),
        "size_bytes": artifact.size_bytes,
        "inputs": [_tensor(spec, shapes) for spec in artifact.signature.inputs],
        "outputs": [_tensor(spec, {}) for spec in artifact.signature.outputs],
        "preprocessing": preprocessing_note(task),
        "class_names": list(task.class_names) if task is not None and task.class_names else None,
    }


def preprocessing_note(task: control_pb2.Task | None) -> str:
    """Return a sentence on the form in which the model takes its inputs."""
    if task is None:
        return (
            "The file does no preprocessing of its own: give it inputs in the form that it was trained on. That form "
            "was not recorded, because the model was exported without a task."
        )
    return (
        f"The file does no preprocessing of its own: give it inputs in the form that the task {task.name!r} prepares "
        f"{_steps(task)}. The accuracy in MODEL_CARD.md was measured with inputs in that form."
    )


def _steps(task: control_pb2.Task) -> str:
    """Return what a task does to its stored data: "((x / 255 - [0.286]) / [0.353], layout NCHW)"."""
    operations = json.loads(task.source_json or "{}").get("operations", [])
    first = f"by {', then '.join(_operation(one) for one in operations)}, and then " if operations else ""
    if not task.preprocessing_json:
        return f"({first}as it is)" if first else "(its data is stored as the model takes it)"
    steps = json.loads(task.preprocessing_json)
    layout = f", layout {steps['layout']}" if steps.get("layout") else ""
    return f"({first}(x / {steps['divide']:g} - {steps['mean']}) / {steps['std']}{layout})"


def _operation(told: Mapping[str, Any]) -> str:
    """Return a plugin's operation with its settings: "gamma (gamma 0.8) of mine 1.0"."""
    settings = ", ".join(f"{name} {value}" for name, value in told.items() if name not in {"kind", "plugin"})
    plugin = told["plugin"].rpartition(" ")[0]
    return f"{told['kind']}{f' ({settings})' if settings else ''} of {plugin}"


def _tensor(spec: common_pb2.TensorSpec, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    tensor: dict[str, Any] = {
        "name": spec.name,
        "dtype": spec.dtype,
        "shape": [dimension(one) for one in spec.dimensions],
    }
    if spec.name in shapes:
        tensor["measured_shape"] = list(shapes[spec.name])
    return tensor
