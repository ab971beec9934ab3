"""A curve of brightness for stored pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.settings import require_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma:
    """Raise each value's share of ``most`` to the power ``gamma``: below 1 brightens, above 1 darkens."""

    kind: ClassVar[str] = "gamma"

    gamma: float = 1.0
    most: float = 255.0

    def __post_init__(self) -> None:
        """Refuse powers that leave nothing of a picture."""
        require_number(self.kind, "gamma", self.gamma, least=0.05, most=20)
        require_number(self.kind, "most", self.most, least=1e-6, most=1e9)

    def apply(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Return the samples on the curve, of their own dtype; whole numbers are rounded.

        Raises:
            TaskError: values below 0 or above ``most``.
        """
        if samples.size and (samples.min() < 0 or samples.max() > self.most):
            raise TaskError(
                "out_of_range",
                f"gamma: the samples go from {samples.min()} to {samples.max()}, and the setting most is {self.most}; "
                "raise it, or use gamma before values are shifted",
            )
        curved = self.most * (samples.astype(np.float64) / self.most) ** self.gamma
        return np.asarray(np.rint(curved) if samples.dtype.kind in "iu" else curved).astype(samples.dtype)
