"""Recurrent layers that read the model's input as it comes stay in float in dynamic quantization.

Their kernel finds one scale for the whole sequence. Between layers it has values of -1 to 1; an input has whatever its
features have: mel energies of a speaker encoder span four decades, and with its first of three LSTM layers in 8 bits
the outputs were noise (0.9 dB), without it they held 29.5 dB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

_RECURRENT = "LSTM"
_MOVING = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def recurrent_layers_at_inputs(model: ModelProto) -> frozenset[str]:
    """Return the names of the LSTM nodes that read an input of the top graph; none where all LSTM nodes do."""
    stored = {tensor.name for tensor in model.graph.initializer}
    given = {value.name for value in model.graph.input} - stored
    layers = [node for node in model.graph.node if node.op_type == _RECURRENT]
    for node in model.graph.node:
        if node.op_type in _MOVING and node.input and node.input[0] in given:
            given.update(node.output)
    found = frozenset(node.name for node in layers if node.input[0] in given)
    return found if len(found) < len(layers) else frozenset()
