"""Which layers of a model's file an operator of its profile stands for: runtimes rename, fuse and leave nodes out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from steelyard.layers.contract import Layer, LayerTable
from steelyard_protocol.v1 import result_pb2

# What ONNX Runtime's optimizers put around a node's name: core/optimizer/nchwc_transformer.cc,
# conv_activation_fusion.cc, matmul_add_fusion.cc and the qdq_transformer.
_RENAMED = re.compile(r"(?:fused )?(?P<name>.+?)(?:_nchwc|_quant|_token_\d+|/MatMulAddFusion|/fused|_fused)*")
_FAMILIES = {
    "convolution": {"Conv", "ConvInteger", "QLinearConv", "FusedConv", "NhwcFusedConv", "Convolution", "CONV_2D",
        "DEPTHWISE_CONV_2D", "CONV_3D", "GroupConvolution"},
    "transposed": {"ConvTranspose", "TRANSPOSE_CONV", "CONV_3D_TRANSPOSE", "Deconvolution"},
    "product": {"Gemm", "MatMul", "QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul", "FusedMatMul", "MatMulNBits", "FullyConnected", "FULLY_CONNECTED", "BATCH_MATMUL"},
    "recurrent": {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "LSTMSequence", "GRUSequence", "RNNSequence", "RNNSeq"},
}  # fmt: skip
_FAMILY = {kind: family for family, kinds in _FAMILIES.items() for kind in kinds}
# What XNNPACK calls the kernels of layers that multiply, in the order in which the words are looked for; a convolution
# of 1 x 1 is a fully connected layer to it.
_XNNPACK = (
    ("DWConv", {"DEPTHWISE_CONV_2D"}),
    ("Deconvolution", {"TRANSPOSE_CONV"}),
    ("Convolution", {"CONV_2D", "DEPTHWISE_CONV_2D"}),
    ("Fully Connected", {"FULLY_CONNECTED", "CONV_2D"}),
    ("Batch Matrix Multiply", {"BATCH_MATMUL"}),
)
_LONGEST_WALK = 12


def match_layers(operators: Sequence[result_pb2.OperatorTiming], table: LayerTable) -> list[tuple[Layer, ...]]:
    """Return the layers of each operator, none where it cannot be told; no layer is of two operators."""
    finder = _Finder(table)
    found = [finder.by_name(operator) for operator in operators]
    for at, layer in _by_order(operators, table, finder.used).items():
        found[at] = (layer,)
    return found


class _Finder:
    def __init__(self, table: LayerTable) -> None:
        self._by_name = {layer.name: layer for layer in table.layers}
        self._by_output = {name: layer for layer in table.layers for name in layer.outputs}
        self.used: set[int] = set()

    def by_name(self, operator: result_pb2.OperatorTiming) -> tuple[Layer, ...]:
        renamed = _RENAMED.fullmatch(operator.name)
        names = [operator.name, *operator.outputs, *([renamed["name"]] if renamed else [])]
        layers = [self._by_name.get(name) or self._by_output.get(name) for name in names]
        found = [layer for layer in dict.fromkeys(layers) if layer is not None and layer.index not in self.used]
        family = _FAMILY.get(operator.kind)
        if family is not None and not any(layer.mac_count for layer in found):
            # It was found by what was fused onto it.
            behind = (self._behind(layer, family) for layer in found)
            found += [layer for layer in dict.fromkeys(behind) if layer is not None]
        self.used |= {layer.index for layer in found}
        return tuple(found)

    def _behind(self, layer: Layer, family: str) -> Layer | None:
        """Return the nearest layer of a family that a layer gets its values from, through layers without products."""
        waiting, seen = [layer], {layer.index}
        for _ in range(_LONGEST_WALK):
            makers = [self._by_output.get(name) for one in waiting for name in one.inputs]
            fresh = [one for one in dict.fromkeys(makers) if one is not None and one.index not in seen]
            for one in fresh:
                if _FAMILY.get(one.kind) == family and one.index not in self.used:
                    return one
            seen |= {one.index for one in fresh}
            waiting = [one for one in fresh if one.mac_count == 0]
        return None


def _by_order(operators: Sequence[result_pb2.OperatorTiming], table: LayerTable, used: set[int]) -> dict[int, Layer]:
    """Return the layers of XNNPACK's kernels by the operators' places: it keeps the file's order, and has no names.

    Only when as many multiply as in the file, and each as its layer does; otherwise nothing is told.
    """
    places = [(at, kinds) for at, one in enumerate(operators) if (kinds := _kinds_of_kernel(one.kind))]
    layers = [layer for layer in table.layers if layer.mac_count != 0 and layer.index not in used]
    if len(places) != len(layers):
        return {}
    pairs = list(zip(places, layers, strict=True))
    if not all(layer.kind in kinds for (_, kinds), layer in pairs):
        return {}
    return {at: layer for (at, _), layer in pairs}


def _kinds_of_kernel(kernel: str) -> set[str]:
    return next((kinds for word, kinds in _XNNPACK if word in kernel and "(" in kernel), set())
