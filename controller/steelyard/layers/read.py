"""Read the layers of a model file of any format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from steelyard.artifact_formats.detection import HEAD_BYTE_COUNT, detect_format
from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.errors import first_line
from steelyard.layers.contract import LayerTable
from steelyard_protocol.v1 import common_pb2


def read_layers(
    path: Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None, batch_size: int = 1
) -> LayerTable:
    """Return what the layers of a model file do.

    Args:
        path: an ONNX or TFLite file; told apart by content. Weights in other files are not needed.
        input_shapes: sizes of dynamic inputs by name.
        batch_size: of a leading dynamic dimension that is not named, 1 or more.

    Raises:
        InvalidModelError: the file is no model, or one that contradicts itself.
        UsageError: a size was given for an input that the model does not have.
    """
    content = path.read_bytes()
    if detect_format(path, content[:HEAD_BYTE_COUNT]) == common_pb2.ARTIFACT_FORMAT_TFLITE:
        from steelyard.layers.tflite_layers import tflite_layers

        return tflite_layers(path, content, input_shapes=input_shapes or {}, batch_size=batch_size)
    return _onnx(path, content, input_shapes or {}, batch_size)


def _onnx(path: Path, content: bytes, input_shapes: Mapping[str, Sequence[int]], batch_size: int) -> LayerTable:
    from onnx.shape_inference import InferenceError

    from steelyard.artifact_formats.onnx_file import parse_onnx
    from steelyard.layers.onnx_layers import onnx_layers

    try:
        return onnx_layers(parse_onnx(path, content), input_shapes=input_shapes, batch_size=batch_size)
    except InferenceError as error:
        raise InvalidModelError(
            "shapes_contradict",
            f"the shapes in {path} contradict each other or the sizes given: {first_line(error)}; check --shape, or "
            "export the model again",
        ) from error
