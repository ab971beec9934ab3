"""Read an ONNX file for the lifter: operations in order, stored tensors, and who reads what."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.train.errors import LiftError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from steelyard_protocol.v1 import common_pb2

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_QUANTIZED = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger",
     "DynamicQuantizeLinear"}
)  # fmt: skip
TORCH_FREE = "the steps that need no PyTorch (quantization, sparsify and others) still take this model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One node, with its attributes as Python and numpy values; "" stands for an input or output that is left out."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_output(self) -> str:
        """The first output that is not left out."""
        return next((name for name in self.outputs if name), "")

    @property
    def label(self) -> str:
        """What sentences call it: its operator and its name, or its first output for one without."""
        return f"{self.op_type} {self.name or self.first_output!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model's graph: operations in topological order, stored arrays by name, and the signature."""

    path: Path
    operations: tuple[Operation, ...]
    stored: Mapping[str, NDArray[Any]]
    signature: common_pb2.Signature
    opset: int

    def readers(self) -> Counter[str]:
        """Return how many operations and outputs read each value."""
        counts = Counter(name for one in self.operations for name in one.inputs if name)
        counts.update(spec.name for spec in self.signature.outputs)
        return counts


def read_source(path: Path) -> Source:
    """Read and check a model.

    Raises:
        LiftError: control_flow, already_quantized, foreign_op, naming the first such node.
        InvalidModelError: the file is no ONNX model.
    """
    import onnx

    from steelyard.artifacts import read_artifact
    from steelyard.compress.folding import inlined, opset_of
    from steelyard_protocol.v1 import common_pb2

    with tempfile.TemporaryDirectory() as folder:
        artifact = read_artifact(path, work_dir=Path(folder))
        if artifact.format != common_pb2.ARTIFACT_FORMAT_ONNX:
            raise LiftError("not_onnx", f"{path} is no ONNX file, and only those can be lifted; give its ONNX original")
        model = inlined(onnx.load_model(artifact.bytes_path))
    _refuse(path, model.graph.node)
    operations, stored = _parts(model)
    return Source(
        path=path,
        operations=_in_order(operations, {*stored, *(spec.name for spec in artifact.signature.inputs)}),
        stored=stored,
        signature=artifact.signature,
        opset=opset_of(model),
    )


def _refuse(path: Path, nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        called = f"{node.op_type} {node.name or node.output[0]!r}"
        if node.op_type in _CONTROL_FLOW:
            raise LiftError(
                "control_flow",
                f"{path} has control flow ({called}), which has no trainable form here; export it without, or "
                f"{TORCH_FREE}",
            )
        if node.op_type in _QUANTIZED:
            raise LiftError(
                "already_quantized", f"{path} is quantized already ({called}); give the float model that it came from"
            )
        if node.domain not in STANDARD_DOMAINS:
            raise LiftError(
                "foreign_op",
                f"{path} uses {called} of the domain {node.domain!r}, which the lifter does not know; export it with "
                f"standard operators only, or {TORCH_FREE}",
            )


def _parts(model: ModelProto) -> tuple[list[Operation], dict[str, NDArray[Any]]]:
    """Return the operations and the stored arrays; Constant nodes are stored arrays too."""
    from onnx import numpy_helper

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    given = {value.name for value in model.graph.output}
    operations, called = [], dict[str, str]()
    for node in model.graph.node:
        operation = _operation(node)
        if operation.op_type == "Constant":
            stored[operation.outputs[0]] = _constant(operation)
        elif operation.op_type == "Identity" and operation.inputs[0] in stored and operation.outputs[0] not in given:
            # torch's older exporter writes equal weights once, and such a name for each other.
            called[operation.outputs[0]] = operation.inputs[0]
        else:
            operations.append(operation)
    return [_renamed(one, called) for one in operations], stored


def _renamed(operation: Operation, called: Mapping[str, str]) -> Operation:
    return replace(operation, inputs=tuple(called.get(name, name) for name in operation.inputs))


def _operation(node: NodeProto) -> Operation:
    return Operation(
        op_type=node.op_type,
        name=node.name,
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={one.name: _plain(one) for one in node.attribute},
    )


def _plain(attribute: Any) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if hasattr(value, "__len__"):
        return [one.decode() if isinstance(one, bytes) else one for one in value]
    return value


def _constant(operation: Operation) -> NDArray[Any]:
    import numpy as np

    name, value = next(iter(operation.attributes.items()))
    dtypes = {"value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64"}
    return np.asarray(value, dtype=dtypes.get(name))


def _in_order(operations: list[Operation], known: set[str]) -> tuple[Operation, ...]:
    """Return the operations so that each stands after what it reads; converters leave other orders."""
    known = known | {""}
    ordered: list[Operation] = []
    waiting = operations
    while waiting:
        later = []
        for one in waiting:
            if known.issuperset(one.inputs):
                known.update(one.outputs)
                ordered.append(one)
            else:
                later.append(one)
        if len(later) == len(waiting):
            raise LiftError(
                "malformed_model",
                f"{later[0].label} reads a value that nothing gives ({later[0].inputs}); export it again",
            )
        waiting = later
    return tuple(ordered)
