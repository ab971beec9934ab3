"""Take the weights that an ONNX model keeps in files beside it into the one file that travels to a device."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.artifact_formats.onnx_tensors import iter_tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

# protobuf refuses messages of 2 GiB and more (protobuf.dev, "Total Size").
MAX_ONNX_BYTES = 2**31 - 1


def external_tensors(model: ModelProto) -> list[TensorProto]:
    """Return the tensors whose data lies in other files."""
    return [tensor for tensor in iter_tensors(model) if tensor.data_location == tensor.EXTERNAL]


def inline_external_data(path: Path, model: ModelProto, tensors: list[TensorProto]) -> tuple[str, ...]:
    """Put the data of ``tensors`` (of the model read from ``path``) into the model, and return the files' names.

    Raises:
        InvalidModelError: a file that is missing, too short or outside of the model's folder, or 2 GiB and more in all.
    """
    places = [_Place(path, tensor) for tensor in tensors]
    total_bytes = sum(place.length_bytes for place in places) + model.ByteSize()
    if total_bytes > MAX_ONNX_BYTES:
        raise InvalidModelError(
            "model_too_large",
            f"{path} and its external data are {total_bytes} bytes, and one ONNX file holds less than 2 GiB; "
            "split the model into parts or quantize its weights first",
        )
    for place in places:
        place.load()
    return tuple(sorted({place.location for place in places}))


class _Place:
    """Where the data of one tensor lies; refuses paths that lead out of the model's folder."""

    def __init__(self, path: Path, tensor: TensorProto) -> None:
        self._model_path = path
        self._tensor = tensor
        entries = {entry.key: entry.value for entry in tensor.external_data}
        self.location = entries.get("location", "")
        self._file = self._checked_file()
        self._offset_bytes = self._number(entries.get("offset", "0"))
        rest_bytes = self._file.stat().st_size - self._offset_bytes
        self.length_bytes = self._number(entries.get("length", str(max(0, rest_bytes))))
        if self.length_bytes > rest_bytes:
            raise InvalidModelError(
                "truncated_external_data",
                f"{path}: tensor {tensor.name!r} needs {self.length_bytes} bytes at offset {self._offset_bytes} of "
                f"{self.location!r}, which ends before that; copy the file again",
            )

    def load(self) -> None:
        with self._file.open("rb") as file:
            file.seek(self._offset_bytes)
            self._tensor.raw_data = file.read(self.length_bytes)
        self._tensor.ClearField("external_data")
        self._tensor.ClearField("data_location")

    def _checked_file(self) -> Path:
        folder = self._model_path.parent.resolve()
        # A text that is not UTF-8 comes out of protobuf as bytes.
        if not isinstance(self.location, str) or not self.location or "\0" in self.location:
            raise InvalidModelError(
                "malformed_model",
                f"{self._model_path}: tensor {self._tensor.name!r} names no usable file for its data; export it again",
            )
        location = PurePosixPath(self.location)
        file = folder / location
        if location.is_absolute() or not file.resolve().is_relative_to(folder):
            raise InvalidModelError(
                "external_data_escapes",
                f"{self._model_path}: tensor {self._tensor.name!r} keeps its data in {self.location!r}, outside of the "
                "model's folder; put the file beside the model and export again",
            )
        if not file.is_file():
            raise InvalidModelError(
                "external_data_missing",
                f"{self._model_path} keeps weights in {self.location!r}, which is not beside it; copy that file to "
                f"{folder}",
            )
        return file

    def _number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidModelError(
                "malformed_model",
                f"{self._model_path}: tensor {self._tensor.name!r} has the offset or length {text!r}; export it again",
            )
        return int(text)
