"""Operators by the family of arithmetic that they do, in a model's file and in a runtime's profile."""

from __future__ import annotations

CONVOLUTION = "convolution"
PRODUCT = "matrix product"
RECURRENT = "recurrent"
QUANTIZING = "quantizing"
CASTING = "casting"
OTHER = "other"

_KINDS = {
    CONVOLUTION: {"Conv", "ConvTranspose", "FusedConv", "NhwcFusedConv", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D",
        "TRANSPOSE_CONV", "CONV_3D_TRANSPOSE", "Convolution", "GroupConvolution", "QLinearConv", "ConvInteger"},
    PRODUCT: {"MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Einsum", "FULLY_CONNECTED", "BATCH_MATMUL",
        "FullyConnected", "QLinearMatMul", "QGemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
        "MatMulNBits", "Attention", "MultiHeadAttention", "QAttention"},
    RECURRENT: {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTMSequence",
        "GRUSequence", "RNNSequence", "SVDF"},
    QUANTIZING: {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QUANTIZE", "DEQUANTIZE",
        "FakeQuantize"},
    CASTING: {"Cast", "CAST"},
}  # fmt: skip
_FAMILY = {kind: family for family, kinds in _KINDS.items() for kind in kinds}
# XNNPACK names its kernels with layout and type: "Convolution (NHWC, F32) IGEMM", "Convert (NC, F32, QS8)".
_BY_PREFIX = (
    ("Convolution (", CONVOLUTION),
    ("DWConv (", CONVOLUTION),
    ("Deconvolution (", CONVOLUTION),
    ("Fully Connected (", PRODUCT),
    ("Batch Matrix Multiply (", PRODUCT),
    ("Convert (", QUANTIZING),
)
_INTEGER = frozenset({
    *("QLinearConv", "ConvInteger", "QLinearMatMul", "QGemm", "MatMulInteger", "MatMulIntegerToFloat"),
    *("DynamicQuantizeMatMul", "MatMulNBits", "QAttention", "DynamicQuantizeLSTM"),
})  # fmt: skip
_INTEGER_MARKS = ("QS8", "QC8", "QU8", "QD8", "QB4", "QC4")
MULTIPLYING = frozenset({CONVOLUTION, PRODUCT, RECURRENT})


def family_of(kind: str) -> str:
    """Return the family of an operator by its kind, as the file or a profiler calls it."""
    known = _FAMILY.get(kind)
    if known is not None:
        return known
    return next((family for prefix, family in _BY_PREFIX if kind.startswith(prefix)), OTHER)


def is_integer(kind: str) -> bool:
    """Return whether a kernel of a profile multiplies in few bits, as far as its name tells."""
    return kind in _INTEGER or any(mark in kind for mark in _INTEGER_MARKS)
