"""Clip the far weights of convolutions, so that the steps of an int8 scale become finer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.contract import FLOAT32, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import require_number
from steelyard.compress.tools import tool_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipWeights:
    """Clip each output channel's weights of a convolution to ``deviations`` standard deviations around their mean.

    What was cut off is spread over the channel's other weights: its sum stays, and with it the answer to a constant
    input, as a bias would hold it.
    """

    kind: ClassVar[str] = "clip-weights"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = False

    deviations: float = 3.0

    def __post_init__(self) -> None:
        """Refuse a bound that would clip nearly everything, or nothing."""
        require_number(self.kind, "deviations", self.deviations, least=1, most=100)

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with clipped weights.

        Raises:
            CompressionInputError: nothing_to_clip.
        """
        import onnx
        from onnx import numpy_helper

        model = onnx.load_model(model_path)
        kernels = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
        chosen = [tensor for tensor in model.graph.initializer if tensor.name in kernels]
        if not chosen:
            raise CompressionInputError(
                "nothing_to_clip", f"{model_path.name} has no convolution with stored weights; leave clip-weights out"
            )
        clipped_count = 0
        for done, tensor in enumerate(chosen):
            context.progress("clipping weights", done, len(chosen))
            weights = numpy_helper.to_array(tensor)
            clipped, count = clip_channels(weights, self.deviations)
            clipped_count += count
            tensor.CopyFrom(numpy_helper.from_array(clipped.astype(weights.dtype), tensor.name))
        onnx.save_model(model, out_path)
        context.progress("clipping weights", len(chosen), len(chosen))
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("onnx", "numpy"),
            notes=(f"{clipped_count} weights of {len(chosen)} convolutions were clipped",),
        )


def clip_channels(weights: NDArray[Any], deviations: float) -> tuple[NDArray[np.float64], int]:
    """Return weights [outputs, ...] with each output's clipped and its sum kept, and how many were clipped."""
    rows = weights.reshape(weights.shape[0], -1).astype(np.float64)
    mean, spread = rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)
    clipped = np.clip(rows, mean - deviations * spread, mean + deviations * spread)
    is_inside = clipped == rows
    # Somewhere inside there always is one: not all values lie beyond a deviation of their mean.
    cut_off = (rows - clipped).sum(axis=1, keepdims=True)
    spread_out = clipped + np.where(is_inside, cut_off / is_inside.sum(axis=1, keepdims=True), 0.0)
    return spread_out.reshape(weights.shape), int((~is_inside).sum())
