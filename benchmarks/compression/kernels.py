"""What onnxruntime makes of a quantized file: how many multiplying operators run in 8 bits, and what is left around."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compression.compress_process import QuantizerError, last_line

INTEGER_OPS = frozenset(
    {"QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "ConvInteger", "MatMulIntegerToFloat", "QAttention"}
)
FLOAT_OPS = frozenset(
    {"Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "LSTM", "GRU"}
)
_CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """Operators of a loaded model: those that multiply in 8 bits and in float, and conversions between the two."""

    integer: int
    in_float: int
    conversions: int

    def text(self) -> str:
        """Return "20 of 22, 3 Q/DQ": of all that multiply, those that do so in 8 bits."""
        return f"{self.integer} of {self.integer + self.in_float}, {self.conversions} Q/DQ"


def kernels_of(path: Path) -> Kernels:
    """Return what a model becomes under the default optimizations, on one thread as it is measured."""
    return counted(op_counts_when_loaded(path))


def op_counts_when_loaded(path: Path) -> Counter[str]:
    """Return how often each operator stands in a model that onnxruntime has optimized.

    Raises:
        QuantizerError: onnxruntime cannot load it.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.optimized_model_filepath = str(Path(work) / "optimized.onnx")
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise QuantizerError(f"onnxruntime cannot load its file: {last_line(str(error))}") from error
        model = onnx.load_model(options.optimized_model_filepath, load_external_data=False)
    return Counter(node.op_type for node in model.graph.node)


def counted(ops: Mapping[str, int]) -> Kernels:
    """Return the three numbers of an operator count."""

    def total(kinds: frozenset[str]) -> int:
        return sum(count for kind, count in ops.items() if kind in kinds)

    return Kernels(integer=total(INTEGER_OPS), in_float=total(FLOAT_OPS), conversions=total(_CONVERSIONS))
