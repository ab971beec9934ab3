"""Move biases that keep a channel far above zero into the next layer (Nagel et al. 2019, section 4.1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.equalization.groups import ScaleGroup
from steelyard.compress.equalization.layer_weights import LayerWeights
from steelyard.compress.qdq.pruning import exposed
from steelyard.compress.qdq.running import Runner, feeds

if TYPE_CHECKING:
    from onnx import ModelProto


def absorbable(groups: Sequence[ScaleGroup]) -> list[ScaleGroup]:
    """Return the groups of one layer and a Relu, whose readers see no zeros of padding: shifting those is exact."""
    return [
        group
        for group in groups
        if len(group.producers) == 1
        and group.producers[0].bias is not None
        and [node.op_type for node in group.passing] == ["Relu"]
        and all(_is_unpadded(layer) and layer.bias is not None for layer in group.consumers)
    ]


def absorb(model: ModelProto, groups: Sequence[ScaleGroup], data: CalibrationData) -> int:
    """Shift the channels of ``groups`` down by their least value over the samples; return how many moved.

    ``model`` is the float model with the weights as the groups have them. Where no sample goes below, Relu does nothing
    to such a channel, and the next layer's bias takes the constant.
    """
    if not groups:
        return 0
    least = _least_values(model, [group.producers[0].node.output[0] for group in groups], data)
    count = 0
    for group, values in zip(groups, least, strict=True):
        shift = np.maximum(values, 0.0)
        count += int((shift > 0).sum())
        (producer,) = group.producers
        assert producer.bias is not None
        producer.bias -= shift
        for layer in group.consumers:
            assert layer.bias is not None
            layer.bias += layer.answer_to(shift)
    return count


def highest_values(model: ModelProto, names: Sequence[str], data: CalibrationData) -> list[float]:
    """Return the largest value of each float tensor over the samples."""
    runner = Runner(exposed(model, names))
    found = [-np.inf] * len(names)
    for feed in feeds(data, runner.batch_size, data.sample_count):
        for index, values in enumerate(runner.run(feed)):
            found[index] = max(found[index], float(values.max()))
    return found


def _least_values(model: ModelProto, names: Sequence[str], data: CalibrationData) -> list[NDArray[np.float64]]:
    """Return the least value a channel (axis 1) of each float tensor over the samples."""
    runner = Runner(exposed(model, names))
    found: list[NDArray[np.float64]] = []
    for feed in feeds(data, runner.batch_size, data.sample_count):
        parts = [values.min(axis=(0, *range(2, values.ndim))).astype(np.float64) for values in runner.run(feed)]
        found = [np.minimum(one, part) for one, part in zip(found, parts, strict=True)] if found else parts
    return found


def _is_unpadded(layer: LayerWeights) -> bool:
    if layer.node.op_type in {"Gemm", "MatMul"}:
        return True
    given = {one.name: one for one in layer.node.attribute}
    is_padded = "pads" in given and any(given["pads"].ints)
    auto_pad = given["auto_pad"].s if "auto_pad" in given else b"NOTSET"
    return layer.node.op_type == "Conv" and not is_padded and auto_pad in {b"NOTSET", b"VALID"}
