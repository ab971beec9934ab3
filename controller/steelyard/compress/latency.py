"""What a step may ask of a device: how long a model that it made takes there, beside the model that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from steelyard.compress.contract import Step
    from steelyard_protocol.v1 import control_pb2


class LatencyOracle(Protocol):
    """Measures models on one device; the same models are not measured twice."""

    def measure(self, candidate: Path, reference: Path, what: str) -> control_pb2.StepLatency:
        """Return what a model takes beside another one in the same rounds; ``what`` is what people are told it is.

        In the answer the reference is the "parent". An answer without a value has a reason.

        Raises:
            CompressionInputError: the device cannot run one of the models.
        """
        ...


@runtime_checkable
class AsksForLatency(Protocol):
    """A step whose settings may ask for a measured latency."""

    @property
    def needs_latency(self) -> bool:
        """Whether they do."""
        ...


def needs_latency(step: Step) -> bool:
    """Return whether a step measures on a device, so that it needs a ``LatencyOracle``."""
    return isinstance(step, AsksForLatency) and step.needs_latency
