"""Where a training computes, and in which precision: the processor in float32, a GPU in mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.compress.settings import AUTO
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.settings import TrainingSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``device`` is "cpu" or "cuda", ``precision`` "float32", "bfloat16" or "float16"; weights are always float32."""

    device: str
    precision: str

    @classmethod
    def of(cls, settings: TrainingSettings) -> Place:
        """Return where to train.

        Raises:
            TrainingInputError: no_gpu, or no_precision for halves on a processor.
        """
        import torch

        has_gpu = bool(torch.cuda.is_available())
        device = ("cuda" if has_gpu else "cpu") if settings.device == AUTO else settings.device
        if device == "cuda" and not has_gpu:
            raise TrainingInputError(
                "no_gpu",
                'device is "cuda", and PyTorch finds no GPU here; write device = "auto", or install its drivers',
            )
        if settings.precision != AUTO:
            if device == "cpu" and settings.precision == "float16":
                raise TrainingInputError(
                    "no_precision", "precision is float16, which needs a GPU; write bfloat16 or float32"
                )
            return cls(device=device, precision=settings.precision)
        if device == "cpu":
            return cls(device=device, precision="float32")
        # Emulated bfloat16 is slower than float32.
        has_halves = torch.cuda.is_bf16_supported(including_emulation=False)
        return cls(device=device, precision="bfloat16" if has_halves else "float16")

    @property
    def is_mixed(self) -> bool:
        """Whether products are computed in halves."""
        return self.precision != "float32"

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of forward passes."""
        import torch

        if not self.is_mixed:
            return nullcontext()
        found: AbstractContextManager[Any] = torch.autocast(self.device, dtype=getattr(torch, self.precision))
        return found

    def scaler(self) -> Any:
        """Return what scales the loss, so that gradients in float16 do not vanish; it does nothing elsewhere."""
        import torch

        return torch.amp.GradScaler(self.device, enabled=self.precision == "float16")

    def put(self, array: NDArray[np.generic]) -> Tensor:
        """Return an array as a tensor there."""
        import torch

        return torch.from_numpy(array).to(self.device)
