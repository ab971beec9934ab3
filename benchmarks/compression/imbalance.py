"""Plant an imbalance of channels: what one layer multiplies by the next divides by, and the float model stays the same.

It is the defect that cross-layer equalization (Nagel et al. 2019, "Data-Free Quantization", section 3) is about, with a
size that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import TensorProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Channels between layers: weights and biases of those that give them, weights of all that take them.

    Between them lies nothing but what passes a positive factor: Relu, pooling, flattening, sums of channels that are
    scaled alike.
    """

    givers: tuple[tuple[str, str], ...]
    takers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a seam with one side."""
        if not self.givers or not self.takers:
            raise ValueError(f"a seam has layers on both sides, not {self.givers!r} and {self.takers!r}")


def plant(source: Path, out: Path, seams: Sequence[Seam], *, ratio: float, seed: int) -> Path:
    """Write the model with each channel of the seams scaled by a factor between ``ratio`` ** -0.5 and ``ratio`` ** 0.5.

    Factors are log-uniform. Weights are [outputs, inputs, ...], of takers with a multiple of the channels as inputs
    (behind a flattening each channel is a run of inputs).

    Raises:
        ValueError: a ratio below 1.
    """
    import onnx

    if ratio < 1.0:
        raise ValueError(f"the largest factor is {ratio!r} times the smallest; it is 1 at least")
    model = onnx.load_model(source)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    rng = np.random.default_rng(seed)
    for seam in seams:
        count = tensors[seam.givers[0][0]].dims[0]
        factors = np.exp(rng.uniform(-0.5, 0.5, count) * np.log(ratio))
        for weight, bias in seam.givers:
            _scale(tensors[weight], factors, axis=0)
            _scale(tensors[bias], factors, axis=0)
        for weight in seam.takers:
            run = tensors[weight].dims[1] // count
            _scale(tensors[weight], 1.0 / np.repeat(factors, run), axis=1)
    onnx.save_model(model, out)
    return out


def _scale(tensor: TensorProto, factors: NDArray[Any], *, axis: int) -> None:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    shape = [1] * values.ndim
    shape[axis] = -1
    scaled = (values.astype(np.float64) * factors.reshape(shape)).astype(values.dtype)
    tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
