"""A latency that pruning is to reach, as a recipe writes it: a share of the model's own, or a time. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import control_pb2

_WRITTEN = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>x|us|ms|s)")
_NS = {"us": 1e3, "ms": 1e6, "s": 1e9}
_MOST_NS = 3600e9


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredShare:
    """A measured time as a share of the target, with its 95 % interval (None without one): 1 is on target."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTarget:
    """``ratio`` is a share of the time of the model that is pruned, ``time_ns`` a time; one of the two is set."""

    text: str
    ratio: float | None = None
    time_ns: float | None = None

    def __post_init__(self) -> None:
        """Refuse both, neither, and shares that are no saving."""
        if (self.ratio is None) == (self.time_ns is None):
            raise ValueError(f"the latency {self.text!r} is a ratio or a time, and exactly one of them")
        if self.ratio is not None and not 0 < self.ratio < 1:
            raise RecipeError(
                "invalid_setting", f'prune: latency is {self.text!r}; a share lies between 0x and 1x, such as "0.5x"'
            )
        if self.time_ns is not None and not 0 < self.time_ns <= _MOST_NS:
            raise RecipeError("invalid_setting", f"prune: latency is {self.text!r}; a time is above 0, 3600s at most")

    @classmethod
    def parse(cls, text: object) -> LatencyTarget:
        """Read "0.5x", "2ms", "500us" or "1s".

        Raises:
            RecipeError: invalid_setting.
        """
        found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
        if found is None or not isinstance(text, str):
            raise RecipeError(
                "invalid_setting",
                f'prune: latency is {text!r}; write a share of the model\'s time ("0.5x") or a time ("2ms", "500us")',
            )
        number = float(found["number"])
        if found["unit"] == "x":
            return cls(text=text, ratio=number)
        return cls(text=text, time_ns=number * _NS[found["unit"]])

    def share_of(self, measured: control_pb2.StepLatency) -> MeasuredShare:
        """Return what was measured as a share of this target.

        Raises:
            CompressionInputError: latency_unknown: there is no figure.
        """
        figure = measured.speedup if self.ratio is not None else measured.p50
        if not figure.HasField("value"):
            why = figure.reason or measured.reason or "it gave no figure"
            raise CompressionInputError(
                "latency_unknown", f"the latency on {measured.device} is not known ({why}); name another device"
            )
        ends = (figure.low, figure.high) if figure.HasField("low") and figure.HasField("high") else (None, None)
        if self.ratio is None:
            assert self.time_ns is not None
            return _share(figure.value, ends, self.time_ns)
        # A speed-up is the inverse of a share, and so are its ends.
        low, high = (None if one is None else 1 / one for one in ends[::-1])
        return _share(1 / figure.value, (low, high), self.ratio)

    def share_of_parent(self, measured: control_pb2.StepLatency) -> float | None:
        """Return what the model takes before anything is taken out, as a share of this target; None if unknown."""
        if self.ratio is not None:
            return 1 / self.ratio
        assert self.time_ns is not None
        return measured.parent_p50.value / self.time_ns if measured.parent_p50.HasField("value") else None

    def written(self, share: MeasuredShare) -> str:
        """Return a measured share in the unit of the target, with its interval: "0.51x (0.50x to 0.52x)"."""
        value = self.time_of(share.value)
        if share.low is None or share.high is None:
            return f"{value} (without an interval)"
        return f"{value} ({self.time_of(share.low)} to {self.time_of(share.high)})"

    def time_of(self, share: float) -> str:
        """Return a share of this target in its unit: "0.512x", "1.97 ms"."""
        if self.ratio is not None:
            return f"{share * self.ratio:.3f}x"
        assert self.time_ns is not None
        return format_value(share * self.time_ns, "ns")


def _share(value: float, ends: tuple[float | None, float | None], by: float) -> MeasuredShare:
    low, high = ends
    return MeasuredShare(
        value=value / by, low=None if low is None else low / by, high=None if high is None else high / by
    )
