"""What each round of a measurement says of a metric: the values that confirmations, gates and bisections compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from steelyard.analysis.mode_figures import (
    after_the_first_ns,
    response_percentile_ns,
    samples_per_s,
    sequence_total_ns,
)
from steelyard.analysis.variant_rounds import TimedBlock, VariantRounds, peak_above_runtime
from steelyard_protocol.v1 import result_pb2

_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}


def paired_figures(reference: VariantRounds, candidate: VariantRounds, metric: str) -> tuple[list[float], list[float]]:
    """Return a metric's values of the rounds in which both artifacts have one, in the same order.

    Units are the metric's (``steelyard.series.metric_rules``). Both lists are empty where no round tells the metric.
    """
    before, after = round_figures(reference, metric), round_figures(candidate, metric)
    both = [index for index in before if index in after]
    return [before[index] for index in both], [after[index] for index in both]


def round_figures(rounds: VariantRounds, metric: str) -> dict[int, float]:
    """Return the metric's value of each valid round that tells it, by round."""
    if rounds.emulated_by:
        return {}
    if metric in {"energy", "net_energy"}:
        return _energy(rounds, metric)
    figures = {timed.round_index: _figure(timed, metric, is_summary=bool(rounds.summary)) for timed in rounds.timed}
    return {index: value for index, value in figures.items() if value is not None}


def _figure(timed: TimedBlock, metric: str, *, is_summary: bool) -> float | None:
    if metric in _PERCENTILES:
        if is_summary and metric != "p50":
            return None
        return float(np.percentile(timed.samples_ns, _PERCENTILES[metric]))
    read = _OF_BLOCKS.get(metric)
    return None if read is None else read(timed.block)


def _energy(rounds: VariantRounds, metric: str) -> dict[int, float]:
    """Return joules an inference by energy round; the rounds are those whose readings are of one source."""
    energy = rounds.read_energy()
    told = [(one.gross if metric == "energy" else one.net) for one in energy.rounds]
    if len(told) != len(rounds.energy_rounds):
        # Rounds are missing, and which ones is not told: nothing can be paired.
        return {}
    pairs = zip(rounds.energy_rounds, told, strict=True)
    return {one.round_index: value.value for one, value in pairs if value is not None}


def _response(percentile: float) -> Callable[[result_pb2.BlockResult], float | None]:
    return lambda block: response_percentile_ns(block, percentile)


def _steps(is_first: bool) -> Callable[[result_pb2.BlockResult], float | None]:
    def read(block: result_pb2.BlockResult) -> float | None:
        longest = max((len(one.step_ns) for one in block.sequences), default=0)
        return sequence_total_ns(block, 1) if is_first else after_the_first_ns(block, longest)

    return read


_OF_BLOCKS: Mapping[str, Callable[[result_pb2.BlockResult], float | None]] = {
    "load": lambda block: float(block.model_load_ns) if block.HasField("model_load_ns") else None,
    "first": lambda block: float(block.first_inference_ns) if block.HasField("first_inference_ns") else None,
    "memory": peak_above_runtime,
    "throughput": samples_per_s,
    "response_p50": _response(50.0),
    "response_p90": _response(90.0),
    "response_p99": _response(99.0),
    "first_step": _steps(is_first=True),
    "per_step": _steps(is_first=False),
}
