"""The grids of integers that values and weights are rounded to while a model learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Not torch's fused kernel (FusedMovingAvgObsFakeQuantize): it gives weights of one sign a zero point, and so rounds
# them to other steps than convert_pt2e writes (torch 2.13).

# How far one batch moves the range of an activation; the first sets it.
_MOVED_BY = 0.05
_WIDE_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Grids:
    """Specifications for torchao; one object each, since it tells equal edges by that.

    ``weights`` maps a number of bits to the specification of weights of that width, one scale an output channel,
    around zero. ``activation`` has a scale and a zero point; ``wide`` is the same in 16 bits.
    """

    activation: Any
    wide: Any
    weights: dict[int, Any]

    @classmethod
    def of(cls, *, signed: bool, weight_bits: tuple[int, ...]) -> Grids:
        """Return the grids of signed or unsigned activations, and of weights of these numbers of bits (2 to 8)."""
        return cls(
            activation=_activation(8, signed=signed),
            wide=_activation(_WIDE_BITS, signed=signed),
            weights={bits: _weights(bits) for bits in weight_bits},
        )


def _activation(bits: int, *, signed: bool) -> Any:
    import torch
    from torchao.quantization.pt2e import FakeQuantize, MovingAverageMinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationSpec

    types = {(8, False): torch.uint8, (8, True): torch.int8, (16, False): torch.uint16, (16, True): torch.int16}
    least = -(2 ** (bits - 1)) if signed else 0
    return QuantizationSpec(
        dtype=types[bits, signed],
        quant_min=least,
        quant_max=least + 2**bits - 1,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(
            observer=MovingAverageMinMaxObserver, averaging_constant=_MOVED_BY
        ),
    )


def _weights(bits: int) -> Any:
    import torch
    from torchao.quantization.pt2e import FakeQuantize, MovingAveragePerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationSpec

    most = 2 ** (bits - 1) - 1
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-most,
        quant_max=most,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        # The range is that of the weights as they are now: nothing is averaged.
        observer_or_fake_quant_ctr=FakeQuantize.with_args(
            observer=MovingAveragePerChannelMinMaxObserver, averaging_constant=1.0
        ),
    )
