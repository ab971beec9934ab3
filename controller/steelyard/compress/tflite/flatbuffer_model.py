"""Read a TFLite file into the objects of its schema, and write them back: the same objects give the same bytes.

Files of more than 2 GiB, and those that litert-quantizer writes, keep data behind the flatbuffer; it is brought in, so
that older runtimes read the result too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from flatbuffers import Builder

# The schema asks for it (force_align: 16), and the Python writer of the schema's own classes does not do it: kernels
# load weights in whole vectors.
_ALIGNMENT_BYTES = 16
_IDENTIFIER = b"TFL3"
# A flatbuffer's offsets end there.
_MAX_BYTES = 2**31 - 1
_TABLES_BYTES = 1 << 16


def read_model(path: Path) -> Any:
    """Return the file as a ``ModelT``; arrays in it are views of the file's bytes, to be replaced and not written to.

    Raises:
        CompressionInputError: model_too_large.
        CompressionError: the file is damaged.
    """
    return parse_model(path.read_bytes(), name=path.name)


def parse_model(content: bytes, *, name: str = "the model") -> Any:
    """Return the bytes of a file as a ``ModelT``; ``name`` names the file in errors.

    Raises:
        CompressionInputError: model_too_large.
        CompressionError: the bytes are damaged.
    """
    from ai_edge_litert import schema_py_generated as schema

    if len(content) > _MAX_BYTES:
        raise CompressionInputError(
            "model_too_large",
            f"{name} has {len(content):,} bytes, and TFLite models of more than 2 GiB cannot be rewritten; quantize it "
            "where it is converted",
        )
    with tool_errors(f"reading {name}"):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        for buffer in model.buffers:
            # 0 and 1 say that the data stands in the flatbuffer, or that there is none.
            if buffer.offset > 1:
                buffer.data = np.frombuffer(content, np.uint8, count=buffer.size, offset=buffer.offset)
            buffer.offset = buffer.size = 0
        for code in model.operatorCodes or ():
            # Files of before 2020 have only the byte, and litert-quantizer reads only the other.
            code.builtinCode = max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
    return model


def model_bytes(model: Any) -> bytes:
    """Return the file of a ``ModelT``, every buffer at a multiple of 16 bytes.

    Raises:
        CompressionError: the objects do not fit together.
    """
    import flatbuffers

    data_bytes = sum(len(buffer.data) + _ALIGNMENT_BYTES for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(data_bytes + _TABLES_BYTES)
    kept = model.buffers
    with tool_errors("writing the TFLite file"):
        try:
            model.buffers = [_AlignedBuffer(buffer.data) for buffer in kept]
            builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
        finally:
            model.buffers = kept
    return bytes(builder.Output())


def write_model(model: Any, path: Path) -> None:
    """Write a ``ModelT`` to a file; see ``model_bytes``."""
    path.write_bytes(model_bytes(model))


def add_buffer(model: Any, values: NDArray[Any]) -> int:
    """Append the bytes of an array as a buffer of the model, and return its number."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = as_bytes(values)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an array's bytes as a buffer holds them (little endian, row by row)."""
    ordered = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return ordered.reshape(-1).view(np.uint8)


class _AlignedBuffer:
    """A buffer as ``ModelT.Pack`` takes it, with its data at a multiple of 16 bytes."""

    def __init__(self, data: Any) -> None:
        self._data = None if data is None else bytes(np.asarray(data, np.uint8))

    def Pack(self, builder: Builder) -> int:  # noqa: N802  the name that the schema's classes have
        """Write the buffer and return where it stands."""
        from ai_edge_litert import schema_py_generated as schema

        place = None
        if self._data is not None:
            count = len(self._data)
            builder.StartVector(1, count, _ALIGNMENT_BYTES)
            builder.head = builder.head - count
            builder.Bytes[builder.head : builder.head + count] = self._data
            place = builder.EndVector()
        schema.BufferStart(builder)
        if place is not None:
            schema.BufferAddData(builder, place)
        return int(schema.BufferEnd(builder))
