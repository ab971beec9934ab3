"""A module that rounds while it learns."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.loop.objective import TrainingHook
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.qat.grids import Grids
from steelyard.train.qat.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable


class QuantizedModule(nn.Module):  # type: ignore[misc]
    """An exported graph with rounding in it; ranges are observed in training mode alone, and until ``freeze``.

    With ``weights_follow`` those of weights are observed to the end: the largest weight of a channel is then the last
    step of its grid, and a quantizer that sees the rounded weights alone finds the same grid.
    """

    def __init__(self, graph: Any, *, weights_follow: bool = False) -> None:
        """Hold a graph that torchao prepared."""
        super().__init__()
        self.graph = graph
        self._weights_follow = weights_follow
        self._frozen = False
        self.train(False)

    @classmethod
    def of(
        cls,
        graph: Any,
        grids: Grids,
        *,
        bits: Mapping[str, int],
        kept: Collection[str],
        wide: Collection[str],
        weights_follow: bool = False,
    ) -> QuantizedModule:
        """Return an exported graph module with roundings; the other arguments are those of ``Placement``."""
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
        from torchao.quantization.pt2e.quantizer import Quantizer

        class _Placed(Quantizer):  # type: ignore[misc]
            def annotate(self, model: Any) -> Any:
                Placement(model.graph, grids, bits=bits, kept=kept, wide=wide).annotate()
                return model

            def validate(self, model: Any) -> None:
                """Nothing: every annotation is one that kernels have."""

        with quiet_exporters():
            return cls(prepare_qat_pt2e(graph, _Placed()), weights_follow=weights_follow)

    def forward(self, *values: Tensor) -> Any:
        """Run the graph."""
        return self.graph(*values)

    def train(self, mode: bool = True) -> QuantizedModule:
        """Observe ranges, or leave them; an exported graph itself knows no modes."""
        self.training = mode
        following = set(self._weight_roundings().values()) if self._weights_follow else set()
        for one in self.roundings():
            one.enable_observer(mode and (not self._frozen or one in following))
        return self

    def freeze(self) -> None:
        """Leave the ranges as they are from now on."""
        self._frozen = True
        self.train(self.training)

    def roundings(self) -> list[Any]:
        """Return the modules that round."""
        from torchao.quantization.pt2e import FakeQuantizeBase

        return [one for one in self.graph.modules() if isinstance(one, FakeQuantizeBase)]

    def calibrate(self, batches: Iterable[Mapping[str, Tensor]], input_names: tuple[str, ...]) -> None:
        """Set the first ranges, without rounding and without learning."""
        rounding = self.roundings()
        self.train()
        for one in rounding:
            one.disable_fake_quant()
        with torch.no_grad():
            for inputs in batches:
                self(*(inputs[name] for name in input_names))
        for one in rounding:
            one.enable_fake_quant()
        self.eval()

    def put_rounded_weights(self, module: nn.Module) -> None:
        """Give the module that the graph was exported from the trained parameters, weights rounded."""
        self.eval()
        rounded = self._weight_roundings()
        for one in rounded.values():
            # The last update moved the weights behind what was observed before it.
            one.enable_observer(self._weights_follow)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                trained = self.graph.get_parameter(name)
                parameter.copy_(rounded[name](trained) if name in rounded else trained)
        self.eval()

    def _weight_roundings(self) -> dict[str, Any]:
        """Return the modules that round weights, by the name of the parameter."""
        return {
            str(node.args[0].target): self.graph.get_submodule(str(node.target))
            for node in self.graph.graph.nodes
            if node.op == "call_module" and node.args and node.args[0].op == "get_attr"
        }


class FreezeRanges(TrainingHook):
    """Ranges stay as they are over the last part of a training, so that weights settle on grids that no longer move."""

    def __init__(self, module: QuantizedModule, *, after: float) -> None:
        """Freeze after this share of the epochs."""
        self._module = module
        self._after = after

    def before_epoch(self, model: TrainableModel, epoch: int, epoch_count: int) -> None:
        """Freeze where it is time."""
        del model
        if epoch >= math.ceil(self._after * epoch_count):
            self._module.freeze()
