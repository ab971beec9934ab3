"""The one figure that variants are compared by, which depends on the mode: a time a round, the shorter the better.

What a mode is for decides (docs/modes.md): the answer's latency in a single stream, samples a second offline and in
several streams, the response where arrivals do not wait, the end of a curve, the whole of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.analysis.mode_figures import curve_quarter_ns, response_p50_ns, samples_per_s, sequence_total_ns
from steelyard.stats.estimate import Estimate
from steelyard_protocol.v1 import plan_pb2, result_pb2

_NS_PER_S = 1e9
_Block = result_pb2.BlockResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """``words`` name it ("p50"); ``time_ns`` of a block is None where the block does not have it.

    With ``is_rate`` people read it as what is done in a second: the time is that of one sample.
    """

    words: str
    time_ns: Callable[[_Block], float | None]
    is_rate: bool = False

    def shown(self, time: Estimate) -> Estimate:
        """Return an estimate of the time (ns) as people read the figure."""
        if not self.is_rate:
            return time
        value, low, high = (None if one is None else _NS_PER_S / one for one in (time.value, time.high, time.low))
        return replace(time, value=value, low=low, high=high, unit="1/s")


def primary_of(mode: plan_pb2.ModeSpec) -> Primary:
    """Return the primary figure of a plan's mode."""
    if mode.mode == plan_pb2.MODE_STEPWISE and mode.step_counts:
        return _whole_sequence(mode.step_counts)
    return _PRIMARIES.get(mode.mode, LATENCY)


def _whole_sequence(step_counts: Sequence[int]) -> Primary:
    count = step_counts[-1]
    return Primary(
        words="1 step" if count == 1 else f"{count} steps",
        time_ns=lambda block: sequence_total_ns(block, count),
    )


def _p50(samples_ns: Sequence[int]) -> float | None:
    return float(np.percentile(samples_ns, 50.0, method="median_unbiased")) if samples_ns else None


def _a_sample(block: _Block) -> float | None:
    rate = samples_per_s(block)
    return None if rate is None else _NS_PER_S / rate


LATENCY = Primary(words="p50", time_ns=lambda block: _p50(block.latency_ns))
_THROUGHPUT = Primary(words="throughput", time_ns=_a_sample, is_rate=True)
_PRIMARIES = {
    plan_pb2.MODE_OFFLINE: _THROUGHPUT,
    plan_pb2.MODE_MULTI_STREAM: _THROUGHPUT,
    plan_pb2.MODE_PACED: Primary(words="response p50", time_ns=response_p50_ns),
    plan_pb2.MODE_SUSTAINED: Primary(
        words="p50 of the last quarter", time_ns=lambda block: curve_quarter_ns(block.curve, is_last=True)
    ),
}
