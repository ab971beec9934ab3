"""The blocks of one artifact over the rounds of a job, and the figures that rest on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.emulation import not_a_latency, not_its_own
from steelyard.analysis.energy_choice import NOT_ON_THE_GPU, energy_readings, reads_only_a_gpu
from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.percentiles import percentile_over_rounds, round_percentiles, value_over_rounds
from steelyard_protocol.v1 import result_pb2

_UNITS = {"memory": "B", "energy": "J"}
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
# Figures that more rounds make narrower, and that a stop rule with several looks must pay for.
METRICS_OF_ROUNDS = frozenset({*_PERCENTILES, "load", "first", "memory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBlock:
    """One good latency block: its round, its segment and its samples (nanoseconds, int64 [samples])."""

    round_index: int
    segment: int
    block: result_pb2.BlockResult
    samples_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRounds:
    """All that was measured of one artifact; failed blocks are kept apart, never averaged in."""

    label: str
    timed: tuple[TimedBlock, ...]
    failed: tuple[result_pb2.BlockResult, ...]
    evaluation: result_pb2.BlockResult | None
    energy: tuple[result_pb2.BlockResult, ...]
    # The block that compiled it on the device, or found it compiled; None where nothing is compiled.
    preparation: result_pb2.BlockResult | None = None
    # Why the device cannot read energy at all, "" when it can.
    no_energy_because: str = ""
    # What emulates the device ("qemu-user on x86_64"), "" for a real one: figures of rounds say nothing then.
    emulated_by: str = ""

    def samples(self) -> list[NDArray[np.int64]]:
        """Return the samples of each round."""
        return [timed.samples_ns for timed in self.timed]

    def medians_ns(self) -> list[float]:
        """Return the median of each round."""
        return [float(median) for median in round_percentiles(self.samples(), 50.0)]

    def estimate(self, metric: str, *, size_bytes: int, confidence: float = 0.95) -> Estimate:
        """Return the figure of a metric that one artifact has by itself (see stats.requirements.METRICS).

        Raises:
            KeyError: The metric compares artifacts or needs labels; it is not a figure of one artifact's rounds.
        """
        if self.emulated_by and metric != "size":
            return self._not_said(metric, confidence)
        if metric in _PERCENTILES:
            if not self.timed:
                return unknown("ns", self.why_nothing(), confidence=confidence)
            return self._percentile(metric, confidence)
        figures: dict[str, Callable[[], Estimate]] = {
            "size": lambda: exact(float(size_bytes), "B", confidence=confidence),
            "load": lambda: self._times("model_load_ns", confidence),
            "first": lambda: self._times("first_inference_ns", confidence),
            "memory": lambda: self._memory(confidence),
            "energy": lambda: self._energy(confidence),
        }
        return figures[metric]()

    @property
    def summary(self) -> str:
        """Return what stands for each round where the program on the device told no samples: "median", "mean" or ""."""
        return next((timed.block.latency_summary for timed in self.timed if timed.block.latency_summary), "")

    def _percentile(self, metric: str, confidence: float) -> Estimate:
        if not self.summary:
            return percentile_over_rounds(self.samples(), _PERCENTILES[metric], confidence=confidence)
        if metric == "p50":
            return value_over_rounds(self.medians_ns(), "ns", confidence)
        reason = f"{metric} is not measured: the program on the device tells only the {self.summary} of each round"
        return unknown("ns", reason, confidence=confidence, observation_count=len(self.timed))

    def why_nothing(self) -> str:
        """Return why there are no samples."""
        if self.failed:
            return self.failed[-1].error.message or "every block failed"
        return "no round was measured"

    def _not_said(self, metric: str, confidence: float) -> Estimate:
        unit = _UNITS.get(metric, "ns")
        because = not_a_latency if unit == "ns" else not_its_own
        return unknown(unit, because(self.emulated_by), confidence=confidence)

    def _times(self, field: Literal["model_load_ns", "first_inference_ns"], confidence: float) -> Estimate:
        values = [float(getattr(timed.block, field)) for timed in self.timed if timed.block.HasField(field)]
        if not values:
            return unknown("ns", self.why_nothing(), confidence=confidence)
        return value_over_rounds(values, "ns", confidence)

    def _memory(self, confidence: float) -> Estimate:
        peaks = []
        reason = ""
        for timed in self.timed:
            memory = timed.block.memory
            imported = next((phase for phase in memory.phases if phase.name == "imported"), None)
            if memory.HasField("peak_resident_bytes") and imported is not None:
                peaks.append(float(max(0, memory.peak_resident_bytes - imported.resident_bytes)))
            reason = memory.reason or memory.peak_source or reason
        if not peaks:
            return unknown("B", reason or self.why_nothing(), confidence=confidence)
        return value_over_rounds(peaks, "B", confidence)

    def _energy(self, confidence: float) -> Estimate:
        # One source for all rounds: a rail that answered where the module's sum fell silent is another quantity.
        by_source: dict[tuple[str, int], list[float]] = {}
        reason = ""
        for block in self.energy:
            for reading in energy_readings(block.readings, block.providers):
                values = by_source.setdefault((reading.source, reading.scope), [])
                if reading.HasField("value"):
                    values.append(reading.value)
                else:
                    reason = reading.reason or reason
        values = next((values for values in by_source.values() if values), [])
        if not values:
            if not reason and any(reads_only_a_gpu(block.readings) for block in self.energy):
                reason = NOT_ON_THE_GPU
            reason = reason or self.no_energy_because or "the energy pass did not run"
            return unknown("J", reason, confidence=confidence)
        return value_over_rounds(values, "J", confidence)


def collect(
    rounds: Sequence[result_pb2.RoundResult],
    labels: Sequence[str],
    *,
    no_energy_because: str = "",
    emulated_by: str = "",
) -> dict[str, VariantRounds]:
    """Group the blocks of recorded rounds by label, in the plan's order."""
    found = {label: _collect_one(rounds, label, no_energy_because) for label in labels}
    return {label: replace(one, emulated_by=emulated_by) for label, one in found.items()}


def _collect_one(rounds: Sequence[result_pb2.RoundResult], label: str, no_energy_because: str) -> VariantRounds:
    timed: list[TimedBlock] = []
    failed: list[result_pb2.BlockResult] = []
    energy: list[result_pb2.BlockResult] = []
    evaluation: result_pb2.BlockResult | None = None
    preparation: result_pb2.BlockResult | None = None
    for result in sorted(rounds, key=lambda one: (one.pass_kind, one.round_index)):
        block = next((one for one in result.blocks if one.label == label), None)
        if block is None:
            continue
        if block.status != result_pb2.BLOCK_STATUS_OK:
            failed.append(block)
        elif result.pass_kind == result_pb2.PASS_EVALUATION:
            evaluation = block
        elif result.pass_kind == result_pb2.PASS_PREPARATION:
            preparation = block
        elif result.pass_kind == result_pb2.PASS_ENERGY:
            energy.append(block)
        elif block.latency_ns:
            samples = np.asarray(block.latency_ns, dtype=np.int64)
            timed.append(
                TimedBlock(round_index=result.round_index, segment=result.segment, block=block, samples_ns=samples)
            )
    return VariantRounds(
        label=label,
        timed=tuple(timed),
        failed=tuple(failed),
        evaluation=evaluation,
        energy=tuple(energy),
        preparation=preparation,
        no_energy_because=no_energy_because,
    )


def paired_medians(reference: VariantRounds, candidate: VariantRounds) -> tuple[list[float], list[float]]:
    """Return the medians (ns) of the rounds in which both ran, in the same order."""
    before = _medians(reference)
    after = _medians(candidate)
    both = [index for index in before if index in after]
    return [before[index] for index in both], [after[index] for index in both]


def _medians(variant: VariantRounds) -> dict[int, float]:
    return {timed.round_index: median_ns for timed, median_ns in zip(variant.timed, variant.medians_ns(), strict=True)}
