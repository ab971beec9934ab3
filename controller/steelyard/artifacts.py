"""Read a model file: what it is, how large it is, what goes in and what comes out. Nothing of it is executed."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steelyard.artifact_formats.detection import HEAD_BYTE_COUNT, detect_format
from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.artifact_formats.onnx_external import MAX_ONNX_BYTES
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import common_pb2

__all__ = ["InspectedArtifact", "InvalidModelError", "read_artifact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedArtifact:
    """A model file that can be sent to a device.

    ``bytes_path`` is the file whose bytes ``digest`` (SHA-256, lower-case hex) and ``size_bytes`` are of: the file that
    was given, or one in the work folder that its external data and inferred shapes were taken into. ``notes`` are
    sentences for people.
    """

    digest: str
    format: common_pb2.ArtifactFormat.ValueType
    size_bytes: int
    signature: common_pb2.Signature
    bytes_path: Path
    notes: tuple[str, ...] = ()


def read_artifact(path: Path, *, work_dir: Path | None = None) -> InspectedArtifact:
    """Read and check a model file.

    Args:
        path: an ONNX or TFLite file; told apart by content.
        work_dir: where a model with external data, or without the shapes of its outputs, is written as one whole file;
            without it such a model is refused.

    Raises:
        InvalidModelError: anything that keeps the file from being used; ``reason`` is one of model_not_found,
            model_is_a_directory, model_unreadable, empty_model, model_too_large, wrong_suffix, unknown_format,
            malformed_model, no_signature, unsupported_signature, external_data, external_data_missing,
            external_data_escapes, truncated_external_data, no_output_shapes.
        SteelyardError: model_not_inlined: the work folder's disk is full, mostly.
    """
    content = _content(path)
    model_format = detect_format(path, content[:HEAD_BYTE_COUNT])
    if model_format == common_pb2.ARTIFACT_FORMAT_TFLITE:
        from steelyard.artifact_formats.tflite_file import read_tflite_signature

        return _artifact(path, content, model_format, read_tflite_signature(path, content), ())
    return _read_onnx(path, content, work_dir)


def _read_onnx(path: Path, content: bytes, work_dir: Path | None) -> InspectedArtifact:
    from steelyard.artifact_formats.onnx_external import external_tensors, inline_external_data
    from steelyard.artifact_formats.onnx_file import check_onnx, onnx_signature, parse_onnx
    from steelyard.artifact_formats.onnx_outputs import complete_outputs

    model = parse_onnx(path, content)
    notes: tuple[str, ...] = ()
    bytes_path = path
    try:
        tensors = external_tensors(model)
        if tensors:
            files = inline_external_data(path, model, tensors)
            notes = (f"the external data in {', '.join(files)} was taken into one file",)
        completed = complete_outputs(model)
        if completed:
            notes += (f"the shape of {', '.join(map(repr, completed))} was not in the file, and was inferred",)
        if notes:
            content = model.SerializeToString(deterministic=True)
            bytes_path = _write_changed(path, content, work_dir, has_external_data=bool(tensors))
        signature = onnx_signature(path, model)
        notes += check_onnx(path, model, size_bytes=len(content))
    except UnicodeDecodeError as error:
        # proto2 strings are decoded when they are looked at, not when they are parsed.
        raise InvalidModelError(
            "malformed_model", f"{path} holds a name that is not UTF-8 ({error.reason}); copy or export it again"
        ) from error
    return _artifact(bytes_path, content, common_pb2.ARTIFACT_FORMAT_ONNX, signature, notes)


def _artifact(
    path: Path,
    content: bytes,
    model_format: common_pb2.ArtifactFormat.ValueType,
    signature: common_pb2.Signature,
    notes: tuple[str, ...],
) -> InspectedArtifact:
    return InspectedArtifact(
        digest=hashlib.sha256(content).hexdigest(),
        format=model_format,
        size_bytes=len(content),
        signature=signature,
        bytes_path=path,
        notes=notes,
    )


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InvalidModelError("model_is_a_directory", f"{path} is a folder; give the model file in it")
        if path.exists() and not path.is_file():
            # A pipe or a device file may never end.
            raise InvalidModelError("model_unreadable", f"{path} is no regular file; copy the model into one")
        size_bytes = path.stat().st_size
        if size_bytes > MAX_ONNX_BYTES:
            raise InvalidModelError(
                "model_too_large",
                f"{path} is {size_bytes} bytes, and a model file holds less than 2 GiB; split the model into parts or "
                "quantize its weights first",
            )
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidModelError("model_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise InvalidModelError("model_unreadable", f"{path} cannot be read ({error}); check the file") from error
    if not content:
        raise InvalidModelError("empty_model", f"{path} is empty (0 bytes); copy or export the model again")
    return content


def _write_changed(path: Path, content: bytes, work_dir: Path | None, *, has_external_data: bool) -> Path:
    if work_dir is None and has_external_data:
        raise InvalidModelError(
            "external_data",
            f"{path} keeps its weights in other files; save it as one file (onnx.save_model without external data)",
        )
    if work_dir is None:
        raise InvalidModelError(
            "no_output_shapes",
            f"{path} does not say the shapes of its outputs; save it with them (onnx.shape_inference.infer_shapes)",
        )
    target = work_dir / f"{hashlib.sha256(content).hexdigest()}.onnx"
    temporary = target.with_suffix(".part")
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SteelyardError(
            "model_not_inlined",
            f"{path} as one file with all it needs is {len(content)} bytes, and {work_dir} cannot hold it ({error}); "
            "free space there, or set TMPDIR to a folder with more",
        ) from error
    return target
