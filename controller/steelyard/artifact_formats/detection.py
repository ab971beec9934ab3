"""Tell a model's format from its first bytes; a suffix is only a hint."""

from __future__ import annotations

from pathlib import Path

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard_protocol.v1 import common_pb2

HEAD_BYTE_COUNT = 64
_TFLITE_IDENTIFIER = b"TFL3"  # flatbuffer file identifier, at byte 4
_LFS_POINTER = b"version https://git-lfs"
_SUFFIXES = {
    ".onnx": common_pb2.ARTIFACT_FORMAT_ONNX,
    ".tflite": common_pb2.ARTIFACT_FORMAT_TFLITE,
}


def detect_format(path: Path, head: bytes) -> common_pb2.ArtifactFormat.ValueType:
    """Return the format that ``head`` (the file's first bytes) shows.

    Raises:
        InvalidModelError: a file of another kind, or a suffix that says something else than the content.
    """
    if head[4:8] == _TFLITE_IDENTIFIER:
        if path.suffix.lower() == ".onnx":
            raise InvalidModelError(
                "wrong_suffix", f"{path} is named .onnx and holds a TFLite model; rename it to {path.stem}.tflite"
            )
        return common_pb2.ARTIFACT_FORMAT_TFLITE
    foreign = _foreign_kind(head)
    if foreign:
        raise InvalidModelError("unknown_format", f"{path} is {foreign}")
    if _SUFFIXES.get(path.suffix.lower()) == common_pb2.ARTIFACT_FORMAT_TFLITE:
        raise InvalidModelError(
            "wrong_suffix",
            f"{path} is named .tflite and lacks the mark 'TFL3' at byte 4; convert or copy the model again",
        )
    return common_pb2.ARTIFACT_FORMAT_ONNX


def _foreign_kind(head: bytes) -> str:
    """Name a known kind of file that is no model of ours, with the way out; "" for anything else."""
    if head.startswith(_LFS_POINTER):
        return "a Git LFS pointer, not the model itself; run `git lfs pull` and try again"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive (a PyTorch checkpoint, perhaps); export the model to ONNX first"
    if head.startswith(b"\x89HDF"):
        return "an HDF5 file (Keras weights, perhaps); convert the model to TFLite or ONNX first"
    if head[4:8] == b"ORTM":
        return "a model in ORT format; give the ONNX file that it was made from"
    if head[8:10] == b'{"':
        return "a safetensors file: weights without a graph; export the model to ONNX first"
    return ""
