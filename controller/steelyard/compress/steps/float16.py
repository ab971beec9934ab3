"""Weights and activations in float16."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from steelyard.compress.contract import FLOAT16, FLOAT32, ONNX, TFLITE, StepContext, StepReport
from steelyard.compress.folding import inlined
from steelyard.compress.model_form import refuse_handed_through
from steelyard.compress.preparation.node_names import matching_nodes, name_nodes
from steelyard.compress.preparation.node_order import sort_nodes
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_boolean, require_globs
from steelyard.compress.tools import tool_errors, tool_versions

if TYPE_CHECKING:
    from onnx import ModelProto

_LARGEST = 65_504.0
# Additions of masks and bounds of clipping mean "very much", which the largest float16 does as well.
_BOUNDING = frozenset({"Add", "Sub", "Where", "Clip", "Max", "Min", "Constant"})
_SHOWN_NODES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Float16:
    """Convert to float16; ``keep_io_types`` leaves inputs and outputs in float32, with casts inside.

    ``keep_float`` are patterns of node names or operators that stay in float32.
    """

    kind: ClassVar[str] = "float16"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = FLOAT16
    formats: ClassVar[frozenset[str]] = frozenset({ONNX, TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    keep_io_types: bool = True
    keep_float: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type."""
        require_boolean(self.kind, "keep_io_types", self.keep_io_types)
        require_globs(self.kind, "keep_float", self.keep_float)
        object.__setattr__(self, "keep_float", tuple(self.keep_float))

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the float16 model; layers with weights beyond 65,504 stay in float32, masks become 65,504.

        Activations may still overflow on a device with float16 arithmetic: onnxruntime computes float16 operators in
        float32 on x86, so the check of the variant there cannot see it; accuracy is measured on the device.

        Raises:
            CompressionInputError: a pattern that matches nothing, or an output that no operator gives.
            CompressionError: the converter failed.
        """
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        context.progress("converting to float16", 0, 1)
        model = inlined(onnx.load_model(model_path))
        refuse_handed_through(model_path, model)
        name_nodes(model)
        large = _beyond_float16(model)
        kept = matching_nodes(model.graph.node, self.keep_float, kind=self.kind, key="keep_float") | large
        with tool_errors("converting to float16"):
            converted = convert_float_to_float16(
                model, keep_io_types=self.keep_io_types, node_block_list=sorted(kept) or None
            )
            # The converter appends its casts at the end: runtimes forgive that, the standard and its checker do not.
            sort_nodes(converted.graph)
            onnx.save_model(converted, out_path)
        context.progress("converting to float16", 1, 1)
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnxruntime", "onnx"),
            notes=(
                "float16 halves the file; a processor without float16 arithmetic may run it slower than float32",
                *_large_notes(sorted(large)),
            ),
        )


def _beyond_float16(model: ModelProto) -> frozenset[str]:
    """Return the nodes of the top graph with a stored number that float16 cannot hold."""
    from onnx import numpy_helper

    large = set()
    for tensor in model.graph.initializer:
        if tensor.data_type == tensor.FLOAT:
            values = np.abs(numpy_helper.to_array(tensor))
            if (values[np.isfinite(values)] > _LARGEST).any():
                large.add(tensor.name)
    return frozenset(
        node.name for node in model.graph.node if node.op_type not in _BOUNDING and not large.isdisjoint(node.input)
    )


def _large_notes(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    shown = ", ".join(names[:_SHOWN_NODES]) + (" and more" if len(names) > _SHOWN_NODES else "")
    return (f"{len(names)} operators stay in float32, since float16 cannot hold their weights beyond 65,504: {shown}",)
