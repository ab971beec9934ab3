"""The models that are broken and repaired, and the recipes that do it, all with one scale a tensor."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.compression.imbalance import Seam

SEED = 0
PLAIN = "static-int8,per_channel=false"
RECIPES = {
    "int8": PLAIN,
    "bias correction alone": f"{PLAIN}+bias-correction",
    "AdaRound alone": f"{PLAIN}+adaround",
    "equalize": f"equalize+{PLAIN}",
    "equalize, bias correction": f"equalize+{PLAIN}+bias-correction",
    "equalize, bias correction, AdaRound": f"equalize+{PLAIN}+bias-correction+adaround",
    "fallback alone": f"{PLAIN}+fallback",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairCase:
    """A model of ``bench_models`` with a planted imbalance; ``ratio`` is the largest factor by the smallest."""

    name: str
    model: str
    seams: tuple[Seam, ...] = ()
    ratio: float = 1.0

    @property
    def planted_layers(self) -> int:
        """How many layers have weights that the imbalance changes."""
        names = [name for seam in self.seams for name in (*(weight for weight, _ in seam.givers), *seam.takers)]
        return len(set(names))


def _bottleneck(*numbers: str) -> tuple[tuple[str, str], ...]:
    """Return the weights and biases of the demo MobileNet's convolutions without an activation."""
    return tuple((f"{number}.weight", f"{number}.weight_bias") for number in numbers)


_MOBILENET = (
    Seam(
        givers=_bottleneck("4.body.6", "5.body.6", "6.body.6"),
        takers=("5.body.0.weight", "6.body.0.weight", "7.body.0.weight"),
    ),
    Seam(
        givers=_bottleneck("7.body.6", "8.body.6", "9.body.6"),
        takers=("8.body.0.weight", "9.body.0.weight", "10.body.0.weight"),
    ),
    Seam(givers=_bottleneck("10.body.6"), takers=("11.weight",)),
)
_DIGITS = (
    Seam(givers=(("conv_layers.0.w", "conv_layers.0.b"),), takers=("conv_layers.3.w",)),
    Seam(givers=(("conv_layers.3.w", "conv_layers.3.b"),), takers=("conv_layers.6.w",)),
    Seam(givers=(("conv_layers.6.w", "conv_layers.6.b"),), takers=("fc_layers.0.w",)),
    Seam(givers=(("fc_layers.0.w", "fc_layers.0.b"),), takers=("fc_layers.2.w",)),
)
CASES = (
    RepairCase(name="MobileNet as it is", model="fashion_mobilenet"),
    RepairCase(name="MobileNet, last bottleneck x10,000", model="fashion_mobilenet", seams=_MOBILENET[2:], ratio=1e4),
    RepairCase(name="MobileNet, first bottleneck x1,000", model="fashion_mobilenet", seams=_MOBILENET[:1], ratio=1e3),
    RepairCase(name="MobileNet, all bottlenecks x100", model="fashion_mobilenet", seams=_MOBILENET, ratio=100.0),
    RepairCase(name="digits, all layers x30", model="digits", seams=_DIGITS, ratio=30.0),
    RepairCase(name="digits, all layers x100", model="digits", seams=_DIGITS, ratio=100.0),
)
