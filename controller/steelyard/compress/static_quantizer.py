"""Put Q/DQ pairs into a folded float model by onnxruntime's quantizer, with ranges of our own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.compress.folding import opset_of
from steelyard.compress.preparation.float_guard import guard_float_layers
from steelyard.compress.preparation.float_outputs import leave_outputs_in_float
from steelyard.compress.preparation.kept_float import FLOAT_OPS
from steelyard.compress.preparation.made_up_sizes import drop_made_up_sizes
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from onnx import ModelProto

# QuantizeLinear of 16 bits is standard from opset 21 on; below, onnxruntime's own (since 1.16) has the same meaning.
_WIDE_OPSET = 21
WIDE_TYPES = frozenset({"int16", "uint16"})
_MATRIX_RANK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The integers of activations and weights ("uint8", "int8", "uint16", "int16") and how they are placed."""

    activation_type: str
    weight_type: str
    per_channel: bool
    reduce_range: bool
    symmetric: bool

    @property
    def wider_type(self) -> str:
        """The 16-bit type of the same sign."""
        return "int16" if self.activation_type.startswith("int") else "uint16"


def quantizable_ops() -> frozenset[str]:
    """Return the operators that onnxruntime puts Q/DQ around, without those that only lose by it on CPUs."""
    return known_ops() - FLOAT_OPS


def known_ops() -> frozenset[str]:
    """Return the operators that onnxruntime's quantizer knows."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return frozenset({*QLinearOpsRegistry, *QDQRegistry})


def quantize(
    folded_path: Path,
    out_path: Path,
    ranges: Mapping[str, tuple[float, float]],
    *,
    grid: Grid,
    op_types: Collection[str],
    excluded: Collection[str],
    wide: Collection[str],
) -> frozenset[str]:
    """Write the QDQ model; tensors in ``wide`` get 16 bits, nodes in ``excluded`` stay in float.

    Returns:
        The nodes whose biases are beyond 32 bits of their scale: the quantizer cuts them off, to wrong numbers.

    Raises:
        CompressionError: the quantizer failed.
    """
    import numpy as np
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import add_infer_metadata

    types = {
        "int8": QuantType.QInt8,
        "uint8": QuantType.QUInt8,
        "int16": QuantType.QInt16,
        "uint16": QuantType.QUInt16,
    }
    model = onnx.load_model(folded_path)
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    found = {
        name: (np.array(low, dtype=np.float32), np.array(high, dtype=np.float32))
        for name, (low, high) in ranges.items()
    }
    with tool_errors("static quantization"):
        # It was inferred by ``fold``; without the mark the quantizer writes and reads the whole model once more.
        add_infer_metadata(model)
        quantizer = QDQQuantizer(
            model,
            grid.per_channel,
            grid.reduce_range,
            types[grid.weight_type],
            types[grid.activation_type],
            TensorsData(CalibrationMethod.MinMax, found),
            [],
            sorted(excluded),
            sorted(op_types),
            _options(model, grid, wide, types),
        )
        quantizer.quantize_model()
        leave_outputs_in_float(quantizer.model.model, makers=makers, op_types=op_types, excluded=excluded)
        guard_float_layers(quantizer.model.model)
        drop_made_up_sizes(quantizer.model.model)
        quantizer.model.save_model_to_file(str(out_path), False)
        return _cut_off(quantizer.model.model)


def _cut_off(model: ModelProto) -> frozenset[str]:
    """Return the nodes that read a 32-bit bias with a value at the end of that range."""
    import numpy as np
    from onnx import numpy_helper

    ends = np.iinfo(np.int32)
    cut = set()
    for tensor in model.graph.initializer:
        if tensor.data_type == tensor.INT32:
            values = numpy_helper.to_array(tensor)
            if values.size and (values.min() == ends.min or values.max() == ends.max):
                cut.add(tensor.name)
    given = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in cut}
    return frozenset(node.name for node in model.graph.node if not given.isdisjoint(node.input))


def _options(model: ModelProto, grid: Grid, wide: Collection[str], types: Mapping[str, Any]) -> dict[str, Any]:
    is_wide = bool(wide) or grid.activation_type in WIDE_TYPES
    overrides: dict[str, list[dict[str, Any]]] = {
        name: [{"quant_type": types[grid.wider_type], "symmetric": grid.wider_type == "int16"}] for name in sorted(wide)
    }
    # The quantizer takes axis 1 for the columns of every stored MatMul weight: of a stack of matrices that is wrong.
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    stacks = {
        name
        for node in model.graph.node
        if node.op_type == "MatMul"
        for name in node.input
        if ranks.get(name, _MATRIX_RANK) != _MATRIX_RANK
    }
    overrides |= {name: [{"quant_type": types[grid.weight_type]}] for name in sorted(stacks)}
    return {
        "ActivationSymmetric": grid.symmetric,
        "UseQDQContribOps": is_wide and opset_of(model) < _WIDE_OPSET,
        "TensorQuantOverrides": overrides,
    }
