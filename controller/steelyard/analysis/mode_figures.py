"""Figures over rounds that depend on the mode: throughput, responses, the ends of a curve, steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.percentiles import percentile_over_rounds, round_percentiles, value_over_rounds
from steelyard_protocol.v1 import result_pb2

_NS_PER_S = 1e9
# Stands for an arrival that never began; a percentile beyond the other one was drawn from it.
_NEVER_NS = 1 << 62
_LONGEST_NS = float(1 << 54)
_Blocks = Sequence[result_pb2.BlockResult]
_NO_CURVE = "a curve is measured in sustained mode only"
_NO_STEPS = "steps are measured in stepwise mode only"


def throughput(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate samples (inferences, when a batch is one) a second of wall time, unit "1/s"."""
    reason = "the device did not tell how long its samples took in all"
    return _over(blocks, samples_per_s, "1/s", reason, confidence)


def samples_per_s(block: result_pb2.BlockResult) -> float | None:
    """Return the samples of a block a second of its window, None where it does not tell them."""
    if not (block.window_ns and block.sample_count):
        return None
    return block.sample_count * max(1, block.batch_size) * _NS_PER_S / block.window_ns


def response(blocks: _Blocks, percentile: float, confidence: float) -> Estimate:
    """Estimate a percentile of the time from the intended start to the end, in nanoseconds; paced modes have it.

    An arrival that never began waited longer than any that did: a percentile that falls among those is not known.
    """
    rounds = [_responses(one) for one in blocks if one.response_ns]
    if not rounds:
        return unknown("ns", "response times are measured in paced mode only", confidence=confidence)
    if float(round_percentiles(rounds, percentile).max()) >= _LONGEST_NS:
        lost, due = sum(one.missed_count for one in blocks), sum(map(len, rounds))
        reason = f"p{percentile:g} of the responses falls among arrivals that never began ({lost} of {due})"
        return unknown("ns", reason, confidence=confidence, observation_count=len(rounds))
    return percentile_over_rounds(rounds, percentile, confidence=confidence)


def response_p50_ns(block: result_pb2.BlockResult) -> float | None:
    """Return the median response (ns) of a block's arrivals, None where half of them never began."""
    return response_percentile_ns(block, 50.0)


def response_percentile_ns(block: result_pb2.BlockResult, percentile: float) -> float | None:
    """Return a percentile of a block's responses (ns), None where it falls among arrivals that never began."""
    if not block.response_ns:
        return None
    (found_ns,) = round_percentiles([_responses(block)], percentile)
    return float(found_ns) if found_ns < _LONGEST_NS else None


def _responses(block: result_pb2.BlockResult) -> NDArray[np.int64]:
    begun = np.asarray(block.response_ns, dtype=np.int64)
    return np.concatenate([begun, np.full(block.missed_count, _NEVER_NS, dtype=np.int64)])


def missed(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate the share of the arrivals that were due and never began ("fraction"); paced modes have it."""

    def share(block: result_pb2.BlockResult) -> float | None:
        due = block.missed_count + len(block.response_ns)
        return block.missed_count / due if block.response_ns else None

    return _over(blocks, share, "fraction", "arrivals are planned in paced mode only", confidence)


def busy_cores(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate CPU time of the worker over wall time while it was timed ("cores"): the cores that it kept busy."""

    def busy(block: result_pb2.BlockResult) -> float | None:
        return block.cpu_ns / block.window_ns if block.HasField("cpu_ns") and block.window_ns else None

    return _over(blocks, busy, "cores", "the device did not tell the CPU time of its worker", confidence)


def preprocessing(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate what the task declares before the model, in nanoseconds: the median of each round's repetitions."""
    reason = "the task declares nothing before the model, or the device could not time it (see the notes)"
    return _over(blocks, lambda one: _median(one.preprocessing_ns), "ns", reason, confidence)


def postprocessing(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate what the task declares behind the model, in nanoseconds: the median of each round's repetitions."""
    reason = "the task declares nothing behind the model, or the device could not time it (see the notes)"
    return _over(blocks, lambda one: _median(one.postprocessing_ns), "ns", reason, confidence)


def curve_quarter_ns(curve: Sequence[result_pb2.CurvePoint], *, is_last: bool) -> float | None:
    """Return the median p50 (ns) of the points of the first or of the last quarter of a curve; None without one.

    Points are of equal length, so that a quarter of them is a quarter of the time.
    """
    if not curve:
        return None
    count = max(1, len(curve) // 4)
    return _median([point.p50_ns for point in (curve[-count:] if is_last else curve[:count])])


def curve_end(blocks: _Blocks, confidence: float, *, is_last: bool) -> Estimate:
    """Estimate the p50 of the first or of the last quarter of the curves, in nanoseconds; sustained modes have it."""
    return _over(blocks, lambda one: curve_quarter_ns(one.curve, is_last=is_last), "ns", _NO_CURVE, confidence)


def slowdown(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate how much longer the last quarter of a curve takes than the first, as a share of it ("fraction")."""

    def share(block: result_pb2.BlockResult) -> float | None:
        first, last = (curve_quarter_ns(block.curve, is_last=one) for one in (False, True))
        return None if first is None or last is None else last / first - 1

    return _over(blocks, share, "fraction", _NO_CURVE, confidence)


def first_step(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate the first step from a fresh state, in nanoseconds: the median of each round's sequences."""
    return steps_at(blocks, 1, confidence)[0]


def per_step(blocks: _Blocks, confidence: float) -> Estimate:
    """Estimate the mean of the steps after the first one, in nanoseconds, over whole sequences."""
    longest = max((len(one.step_ns) for block in blocks for one in block.sequences), default=0)
    return steps_at(blocks, longest, confidence)[1]


def sequence_total_ns(block: result_pb2.BlockResult, step_count: int) -> float | None:
    """Return the median time (ns) from a fresh state to the end of so many steps over a block's sequences."""
    totals = [sum(one.step_ns[:step_count]) for one in block.sequences if len(one.step_ns) >= step_count]
    return _median(totals)


def after_the_first_ns(block: result_pb2.BlockResult, step_count: int) -> float | None:
    """Return the median over a block's sequences of the mean (ns) of steps 2 to ``step_count``; None for one step."""
    rests = [one.step_ns[1:step_count] for one in block.sequences if len(one.step_ns) >= step_count > 1]
    return _median([sum(rest) / len(rest) for rest in rests])


def steps_at(blocks: _Blocks, step_count: int, confidence: float) -> tuple[Estimate, Estimate]:
    """Estimate the time of so many steps from a fresh state, and the mean of those after the first; nanoseconds."""
    total = _over(blocks, lambda one: sequence_total_ns(one, step_count), "ns", _NO_STEPS, confidence)
    reason = "there is no step after the first one" if step_count == 1 else _NO_STEPS
    return total, _over(blocks, lambda one: after_the_first_ns(one, step_count), "ns", reason, confidence)


MODE_FIGURES: Mapping[str, Callable[[_Blocks, float], Estimate]] = {
    "throughput": throughput,
    "response_p50": lambda blocks, confidence: response(blocks, 50.0, confidence),
    "response_p90": lambda blocks, confidence: response(blocks, 90.0, confidence),
    "response_p99": lambda blocks, confidence: response(blocks, 99.0, confidence),
    "missed": missed,
    "busy_cores": busy_cores,
    "preprocessing": preprocessing,
    "postprocessing": postprocessing,
    "curve_start": lambda blocks, confidence: curve_end(blocks, confidence, is_last=False),
    "curve_end": lambda blocks, confidence: curve_end(blocks, confidence, is_last=True),
    "slowdown": slowdown,
    "first_step": first_step,
    "per_step": per_step,
}


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _over(
    blocks: _Blocks,
    figure: Callable[[result_pb2.BlockResult], float | None],
    unit: str,
    reason: str,
    confidence: float,
) -> Estimate:
    """Estimate a figure over the blocks that have it; ``reason`` says why where none has."""
    values = [value for value in map(figure, blocks) if value is not None]
    return value_over_rounds(values, unit, confidence) if values else unknown(unit, reason, confidence=confidence)
