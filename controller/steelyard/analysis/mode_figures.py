"""Figures over rounds that depend on the mode: throughput, response times, steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.percentiles import percentile_over_rounds, value_over_rounds
from steelyard_protocol.v1 import result_pb2

_NS_PER_S = 1e9
_Blocks = Sequence[result_pb2.BlockResult]


def throughput(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate samples (inferences, when a batch is one) a second of wall time, unit "1/s"."""
    rates = [
        one.sample_count * max(1, one.batch_size) * _NS_PER_S / one.window_ns
        for one in blocks
        if one.window_ns and one.sample_count
    ]
    if not rates:
        return unknown("1/s", "the device did not tell how long its samples took in all", confidence=confidence)
    return value_over_rounds(rates, "1/s", confidence)


def response(blocks: _Blocks, percentile: float, confidence: float) -> Estimate:
    """Estimate a percentile of the time from the intended start to the end, in nanoseconds; paced modes have it."""
    rounds = [np.asarray(one.response_ns, dtype=np.int64) for one in blocks if one.response_ns]
    if not rounds:
        return unknown("ns", "response times are measured in paced mode only", confidence=confidence)
    return percentile_over_rounds(rounds, percentile, confidence=confidence)


def first_step(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate the first step from a fresh state, in nanoseconds: the median of each round's sequences."""
    values = [float(np.median([one.step_ns[0] for one in sequences])) for sequences in _sequences(blocks, least=1)]
    return _of_steps(values, confidence)


def per_step(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate the mean of the steps after the first one, in nanoseconds, over whole sequences."""
    values = [
        float(np.mean(np.concatenate([np.asarray(one.step_ns[1:], dtype=np.float64) for one in sequences])))
        for sequences in _sequences(blocks, least=2)
    ]
    return _of_steps(values, confidence)


MODE_FIGURES: Mapping[str, Callable[[_Blocks, float], Estimate]] = {
    "throughput": throughput,
    "response_p50": lambda blocks, confidence: response(blocks, 50.0, confidence),
    "response_p90": lambda blocks, confidence: response(blocks, 90.0, confidence),
    "response_p99": lambda blocks, confidence: response(blocks, 99.0, confidence),
    "first_step": first_step,
    "per_step": per_step,
}


def _sequences(blocks: _Blocks, least: int) -> list[list[result_pb2.SequenceTiming]]:
    """Return the sequences of each round that have at least so many steps; rounds without one are left out."""
    found = ([one for one in block.sequences if len(one.step_ns) >= least] for block in blocks)
    return [sequences for sequences in found if sequences]


def _of_steps(values: Sequence[float], confidence: float) -> Estimate:
    if not values:
        return unknown("ns", "steps are measured in stepwise mode only", confidence=confidence)
    return value_over_rounds(values, "ns", confidence)
