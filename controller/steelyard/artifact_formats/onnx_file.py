"""Read and check an ONNX file: a protobuf message, parsed and never executed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.artifact_formats.onnx_tensors import iter_nodes
from steelyard.errors import first_line
from steelyard_protocol.v1 import common_pb2

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

# What the checker says of nodes in another order.
_UNSORTED = "topologically sorted"
# The checker serializes the model once more; above this it is left to the runtime that loads the model.
_CHECKED_BYTES = 256 * 1024 * 1024
_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"})


def parse_onnx(path: Path, content: bytes) -> ModelProto:
    """Parse an ONNX model; external data stays where it is.

    Raises:
        InvalidModelError: bytes that are no ONNX model.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidModelError(
            "malformed_model",
            f"{path} is not an ONNX or TFLite model, or it is truncated ({error}); copy or export it again",
        ) from error
    if not model.HasField("graph"):
        raise InvalidModelError(
            "malformed_model", f"{path} holds no ONNX graph; it is no model or it is truncated: copy or export it again"
        )
    return model


def check_onnx(path: Path, model: ModelProto, *, size_bytes: int) -> tuple[str, ...]:
    """Check a model whose data is all inside, and return notes about what a device must have to run it.

    Raises:
        InvalidModelError: the graph contradicts the ONNX standard or itself.
    """
    import onnx

    notes: list[str] = []
    if size_bytes <= _CHECKED_BYTES:
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            if _UNSORTED not in str(error) or _reads_nothing_known(model):
                raise _malformed(path, error) from error
            # Common converters leave such files, and runtimes sort them as they load.
            notes.append("its nodes are not in topological order; runtimes accept that, the ONNX standard does not")
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise _malformed(path, error) from error
    foreign = sorted({node.domain for node in iter_nodes(model)} - _KNOWN_DOMAINS - _function_domains(model))
    notes += [f"uses operators of the domain {domain!r}; the device's runtime must have them" for domain in foreign]
    return tuple(notes)


def _reads_nothing_known(model: ModelProto) -> bool:
    """Return whether a node of the main graph reads a value that nothing gives, in whatever order nodes stand."""
    known = {value.name for value in (*model.graph.input, *model.graph.initializer)} | {""}
    known |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    known.update(name for node in model.graph.node for name in node.output)
    return any(name not in known for node in model.graph.node for name in node.input)


def _malformed(path: Path, error: Exception) -> InvalidModelError:
    import onnx

    return InvalidModelError(
        "malformed_model",
        f"{path} is not valid ONNX: {first_line(error)}; export it again, or update the onnx package "
        f"({onnx.__version__})",
    )


def onnx_signature(path: Path, model: ModelProto) -> common_pb2.Signature:
    """Return the inputs that a caller must feed (initializers are left out) and the outputs.

    Raises:
        InvalidModelError: there are none, or one is not a tensor.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    signature = common_pb2.Signature(
        inputs=[_spec(path, value) for value in model.graph.input if value.name not in stored],
        outputs=[_spec(path, value) for value in model.graph.output],
    )
    if not signature.inputs or not signature.outputs:
        missing = "outputs" if signature.inputs else "inputs"
        raise InvalidModelError("no_signature", f"{path} has no {missing}; export the model again with its {missing}")
    return signature


def _spec(path: Path, value: ValueInfoProto) -> common_pb2.TensorSpec:
    import onnx

    tensor_type = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise InvalidModelError(
            "unsupported_signature",
            f"{path}: {value.name!r} is not a tensor (a sequence, a map or optional); export the model with tensors "
            "only (scikit-learn: zipmap=False)",
        )
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type).name)
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidModelError(
            "malformed_model",
            f"{path}: {value.name!r} has the unknown element type {tensor_type.elem_type}; export again",
        ) from error
    return common_pb2.TensorSpec(
        name=value.name,
        dtype=dtype,
        dimensions=[
            common_pb2.Dimension(size=dim.dim_value)
            if dim.HasField("dim_value") and dim.dim_value >= 0
            else common_pb2.Dimension(symbol=dim.dim_param)
            for dim in tensor_type.shape.dim
        ],
    )


def _function_domains(model: ModelProto) -> set[str]:
    return {function.domain for function in model.functions}
