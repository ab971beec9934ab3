"""Lift a model: operation by operation, each with a sample of what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from steelyard.errors import first_line
from steelyard.train.errors import LiftError
from steelyard.train.export.example import FEW
from steelyard.train.lift.build import Builder
from steelyard.train.lift.call import Call
from steelyard.train.lift.lifted import LiftedModel, TensorForm
from steelyard.train.lift.ops import sizes
from steelyard.train.lift.ops.attention import NOT_BY_HEADS
from steelyard.train.lift.ops.table import RULES
from steelyard.train.lift.patterns import with_patterns
from steelyard.train.lift.samples import Samples, draw_samples
from steelyard.train.lift.source import TORCH_FREE, Operation, Source, read_source
from steelyard.train.lift.values import Made, Stored, Value

if TYPE_CHECKING:
    from steelyard_protocol.v1 import common_pb2

# The key of a node's ``meta`` under which the name of its value in the ONNX graph stands.
ONNX_NAME = "onnx_name"
OP_FAILED = "op_failed"
_Shapes = Mapping[str, tuple[int, ...]]


def lift_model(path: Path, shapes: _Shapes) -> LiftedModel:
    """Return the model of an ONNX file as ``steelyard.train.lift.lift`` does.

    Raises:
        LiftError: as there.
    """
    source = read_source(path)
    try:
        return _with_any_batch(source, shapes, below=0)
    except LiftError as error:
        if error.reason != OP_FAILED or not isinstance(error.__cause__, IndexError):
            raise
    return _with_any_batch(source, shapes, below=FEW)


def _with_any_batch(source: Source, shapes: _Shapes, *, below: int) -> LiftedModel:
    """Return the model for any batch, or where it counts on the file's, for that one."""
    samples = draw_samples(source, shapes, below=below)
    try:
        return _lifted(source, samples)
    except LiftError as error:
        if error.reason != OP_FAILED or samples.fixed_batch is None:
            raise
    kept = _lifted(source, draw_samples(source, shapes, keep_batch=True, below=below))
    return replace(kept, fixed_batch=samples.fixed_batch, takes_any_batch=False)


def _lifted(source: Source, samples: Samples) -> LiftedModel:
    try:
        return _Lifting(with_patterns(source), samples).lifted()
    except LiftError as error:
        if error.reason != NOT_BY_HEADS:
            raise
        return _Lifting(with_patterns(source, by_heads=False), samples).lifted()


class _Lifting:
    """The values of one graph as they become known."""

    def __init__(self, source: Source, samples: Samples) -> None:
        self._source = source
        self._samples = samples
        self._build = Builder(
            fixed_batch=samples.fixed_batch, batch=samples.batch, has_open_sizes=samples.has_open_sizes
        )
        self._values: dict[str, Value] = {
            name: Stored(tensor=_as_torch(array, name), key=name) for name, array in source.stored.items()
        }
        self._left = source.readers()

    def lifted(self) -> LiftedModel:
        source = self._source
        for spec in source.signature.inputs:
            made = self._build.placeholder(spec.name, torch.from_numpy(self._samples.feed[spec.name]))
            self._know(spec.name, made)
        for operation in source.operations:
            self._lift(operation)
        outputs = [self._values[spec.name] for spec in source.signature.outputs]
        self._build.output(outputs)
        module = fx.GraphModule(self._build.root, self._build.graph, class_name="Lifted")
        return LiftedModel(
            module=module.eval(),
            inputs=tuple(
                _form(spec, torch.from_numpy(self._samples.feed[spec.name]), below=self._samples.below)
                for spec in source.signature.inputs
            ),
            outputs=tuple(
                _form(spec, self._build.as_tensor(value).sample)
                for spec, value in zip(source.signature.outputs, outputs, strict=True)
            ),
            layers=self._build.layers,
            opset=source.opset,
            fixed_batch=self._samples.fixed_batch,
        )

    def _lift(self, operation: Operation) -> None:
        call = Call(
            operation,
            [self._values[name] if name else None for name in operation.inputs],
            self._build,
            self._source.opset,
        )
        made = _made(call)
        for name, value in zip(operation.outputs, made, strict=False):
            if name:
                named = Stored(tensor=value.tensor, key=value.key or name) if isinstance(value, Stored) else value
                self._know(name, named)
        self._forget(operation)

    def _know(self, name: str, value: Value) -> None:
        self._values[name] = value
        if isinstance(value, Made):
            value.node.meta.setdefault(ONNX_NAME, name)

    def _forget(self, operation: Operation) -> None:
        """Drop samples that nothing reads any more."""
        for name in operation.inputs:
            self._left[name] -= 1
            if name and self._left[name] == 0:
                del self._values[name]


def _made(call: Call) -> Sequence[Value]:
    """Return the outputs of one operation.

    Raises:
        LiftError: unknown_op; op_failed with what torch said; unsupported_form.
    """
    operation = call.operation
    rule = RULES.get(operation.op_type)
    try:
        made: Any = sizes.RULES[operation.op_type](call) if sizes.applies(call) else None
        if made is None and rule is not None:
            made = rule(call)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, NotImplementedError) as error:
        raise LiftError(
            OP_FAILED,
            f"{operation.label} does not run in PyTorch on shapes {_shapes(call)} ({first_line(error)}); "
            f"name shapes that the model takes, or {TORCH_FREE}",
        ) from error
    if made is None:
        raise LiftError(
            "unknown_op", f"the lifter does not know the operator {operation.label}; export without it, or {TORCH_FREE}"
        )
    return made if isinstance(made, list) else [made]


def _shapes(call: Call) -> str:
    return ", ".join(str(list(value.sample.shape)) for value in call.values if isinstance(value, Stored | Made))


def _as_torch(array: Any, name: str) -> torch.Tensor:
    """Return a stored array as a tensor of its own (arrays of protobuf are read-only)."""
    try:
        return torch.from_numpy(array.copy())
    except TypeError as error:
        raise LiftError(
            "unsupported_type",
            f"the stored tensor {name!r} is of the type {array.dtype}, which PyTorch lacks; "
            f"export it as float32, or {TORCH_FREE}",
        ) from error


def _form(spec: common_pb2.TensorSpec, sample: torch.Tensor, *, below: int = 0) -> TensorForm:
    open_or_size = tuple(int(one.size) if one.HasField("size") else (one.symbol or None) for one in spec.dimensions)
    shape = open_or_size if len(open_or_size) == sample.dim() else (None,) * sample.dim()
    return TensorForm(name=spec.name, dtype=spec.dtype, shape=shape, sample_shape=tuple(sample.shape), below=below)
