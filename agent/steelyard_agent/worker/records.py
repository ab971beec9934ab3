"""Records that a worker's result is made of beside plain figures. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRecord:
    """What one operator of a model took over some inferences, as the runtime's profiler says.

    ``name`` is the node's in the model that ran (a fusion has a name of its own), ``kind`` the operator's ("Conv"),
    ``provider`` what it ran on. ``outputs`` are names by which its origin is found in the model's file, where the
    runtime tells any.
    """

    name: str
    kind: str
    provider: str
    call_count: int
    total_ns: int
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a time that ran backwards."""
        if self.total_ns < 0 or self.call_count < 0:
            raise ValueError(f"operator {self.name!r} took {self.total_ns} ns in {self.call_count} calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSum:
    """The operators of ``inference_count`` inferences: all that were profiled, or the quieter half of them."""

    operators: tuple[OperatorRecord, ...]
    inference_count: int


def quieter_half(totals: Sequence[int]) -> list[int]:
    """Return the places of the smaller half of some totals, in order.

    An inference that the scheduler put aside has all of its wait in one operator: a mean over every inference named a
    layer of 2 us as half of the time.
    """
    kept = sorted(range(len(totals)), key=totals.__getitem__)[: (len(totals) + 1) // 2]
    return sorted(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRecord:
    """What a device did at most of one thing: ``rate_per_s`` in ``unit`` ("MAC/s", "B/s"); None with why in ``how``."""

    name: str
    unit: str
    rate_per_s: float | None
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """The most that a runtime's own allocator held; None with the reason in ``source`` where it is not known."""

    byte_count: int | None
    source: str

    def __post_init__(self) -> None:
        """Refuse a size that no allocator has."""
        if self.byte_count is not None and self.byte_count < 0:
            raise ValueError(f"an arena of {self.byte_count} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeModel:
    """A generated model of one matrix product, whose rate a roofline probe reports under ``name``.

    ``runtime`` is as ``Block.runtime``.
    """

    name: str
    model_path: str
    mac_count: int
    runtime_name: str
    runtime: dict[str, object]
