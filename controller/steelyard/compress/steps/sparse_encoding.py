"""Sparse weights of a TFLite model stored as XNNPACK runs them on Arm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.compress.contract import FLOAT32, SPARSE, TFLITE, StepContext, StepReport
from steelyard.compress.recipe import step_settings
from steelyard.compress.tools import tool_versions

# Below it, values with their places take more bytes than they save in time.
_LEAST_ZERO_SHARE = 2 / 3
_DENSE_CLASSIFIER_NOTE = (
    "with the FULLY_CONNECTED layers behind them less than two thirds of the weights are zero: LiteRT 2.3 runs the "
    "model sparsely all the same, later versions of XNNPACK count those layers and may not (sparsify them, too)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseEncoding:
    """Store the zeros of 1x1 convolutions (and of classifiers) as the schema's sparse tensors, unpacked by DENSIFY.

    It changes no value: outputs stay the same to the last bit on x86. On Arm, XNNPACK then multiplies only what is not
    zero (Elsen et al., "Fast Sparse ConvNets", 2019); elsewhere it unpacks the weights when it loads the model.
    """

    kind: ClassVar[str] = "sparse-encoding"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = SPARSE
    formats: ClassVar[frozenset[str]] = frozenset({TFLITE})
    needs_float_ancestor: ClassVar[bool] = False

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with sparse weights.

        Raises:
            CompressionInputError: XNNPACK would not run this model sparsely; the sentence names the condition.
            CompressionError: the file cannot be read or written.
        """
        from steelyard.compress.tflite.conditions import float_graph
        from steelyard.compress.tflite.finishing import drop_unused_buffers
        from steelyard.compress.tflite.flatbuffer_model import write_model
        from steelyard.compress.tflite.sparse_region import find_region
        from steelyard.compress.tflite.sparse_tensor import sparse_classifier_weights, store_sparsely

        context.progress("storing weights sparsely", 0, 1)
        graph = float_graph(model_path, self.kind)
        region = find_region(graph, model_path.name)
        others = [one for one in sparse_classifier_weights(graph, _LEAST_ZERO_SHARE) if one not in region.weights]
        store_sparsely(graph, [*region.weights, *others])
        drop_unused_buffers(graph.model)
        write_model(graph.model, out_path)
        context.progress("storing weights sparsely", 1, 1)
        share = 100 * region.zero_count / region.weight_count
        note = (
            f"{len(region.weights)} 1x1 convolutions ({share:.1f} % zeros) and {len(others)} other layers are stored "
            "sparsely; XNNPACK runs the former so on Arm, and unpacks them when it loads the model on x86 with AVX"
        )
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions("ai-edge-litert"),
            notes=(note,) if region.is_sparse_with_classifier else (note, _DENSE_CLASSIFIER_NOTE),
        )
