"""What metrics have in common that read one output of the device whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from steelyard.tasks.metrics.contract import Reduction
from steelyard.tasks.metrics.settings import require_text


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeOutput:
    """``output`` names the output; what "" means is the metric's to say."""

    kind: ClassVar[str]

    output: str = ""

    def __post_init__(self) -> None:
        """Refuse an ``output`` that is no text."""
        require_text(self.kind, "output", self.output)

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        return Reduction(reducer="full")
