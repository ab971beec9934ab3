"""The blocks of one artifact over the rounds of a job, and the figures that rest on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.device_energy import VariantEnergy, gross_energy, mean_power, net_energy, variant_energy
from steelyard.analysis.emulation import not_a_latency, not_its_own
from steelyard.analysis.mode_figures import MODE_FIGURES
from steelyard.analysis.primary import LATENCY, Primary, primary_of
from steelyard.analysis.validity import first_not_valid, is_left_out, what_happened
from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.percentiles import percentile_over_rounds, round_percentiles, value_over_rounds
from steelyard_protocol.v1 import plan_pb2, result_pb2

_UNITS = {
    "memory": "B",
    "energy": "J",
    "net_energy": "J",
    "mean_power": "W",
    "busy_cores": "cores",
    "throughput": "1/s",
    "missed": "fraction",
    "slowdown": "fraction",
}
# What an emulator adds its own to; everything else is a time or follows from times.
_UNITS_OF_THE_PROCESS = frozenset({"B", "J", "W", "cores"})
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
# Figures that more rounds make narrower, and that a stop rule with several looks must pay for.
# Nothing of them is a figure of an artifact: a profiler's times are its own (analysis/operators.py).
_NOT_OF_A_VARIANT = frozenset({result_pb2.PASS_OPERATORS, result_pb2.PASS_ROOFLINE, result_pb2.PASS_NUMERIC})
METRICS_OF_ROUNDS = frozenset({*_PERCENTILES, *MODE_FIGURES, "load", "first", "memory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBlock:
    """One good latency block: its round, its segment and its samples (nanoseconds, int64 [samples])."""

    round_index: int
    segment: int
    block: result_pb2.BlockResult
    samples_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRounds:
    """All that was measured of one artifact; failed blocks are kept apart, never averaged in.

    So are those of rounds in which a block, of whichever artifact, was not valid: they are ``left_out``.
    """

    label: str
    timed: tuple[TimedBlock, ...]
    failed: tuple[result_pb2.BlockResult, ...]
    evaluation: result_pb2.BlockResult | None
    energy: tuple[result_pb2.BlockResult, ...]
    # The rounds that these blocks are of, with their idle baselines.
    energy_rounds: tuple[result_pb2.RoundResult, ...] = ()
    # The block that compiled it on the device, or found it compiled; None where nothing is compiled.
    preparation: result_pb2.BlockResult | None = None
    # Why the device cannot read energy at all, "" when it can.
    no_energy_because: str = ""
    left_out: tuple[result_pb2.BlockResult, ...] = ()
    # What the first block that was not valid says, "" where all were.
    left_out_because: str = ""
    # What emulates the device ("qemu-user on x86_64"), "" for a real one: figures of rounds say nothing then.
    emulated_by: str = ""
    # What artifacts are compared by in the plan's mode.
    primary: Primary = LATENCY

    def samples(self) -> list[NDArray[np.int64]]:
        """Return the samples of each round."""
        return [timed.samples_ns for timed in self.timed]

    def medians_ns(self) -> list[float]:
        """Return the median of each round."""
        return [float(median) for median in round_percentiles(self.samples(), 50.0)]

    def primary_times_ns(self) -> dict[int, float]:
        """Return the primary figure's time of each round that has it, by round."""
        times = {timed.round_index: self.primary.time_ns(timed.block) for timed in self.timed}
        return {index: time for index, time in times.items() if time is not None}

    def primary_time(self, confidence: float) -> Estimate:
        """Return the primary figure as a time (ns): the shorter the better."""
        if self.emulated_by:
            return self._not_said("p50", confidence)
        times = list(self.primary_times_ns().values())
        if times:
            return value_over_rounds(times, "ns", confidence)
        why = f"no block tells its {self.primary.words}" if self.timed else self.why_nothing()
        return unknown("ns", why, confidence=confidence)

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
        if metric in MODE_FIGURES:
            if not self.timed:
                return unknown(_UNITS.get(metric, "ns"), self.why_nothing(), confidence=confidence)
            return MODE_FIGURES[metric]([timed.block for timed in self.timed], confidence)
        figures: dict[str, Callable[[], Estimate]] = {
            "size": lambda: exact(float(size_bytes), "B", confidence=confidence),
            "load": lambda: self._times("model_load_ns", confidence),
            "first": lambda: self._times("first_inference_ns", confidence),
            "memory": lambda: self._memory(confidence),
            "energy": lambda: gross_energy(self.read_energy(), confidence),
            "net_energy": lambda: net_energy(self.read_energy(), confidence),
            "mean_power": lambda: mean_power(self.read_energy(), confidence),
            "build": lambda: self._build(confidence),
        }
        return figures[metric]()

    def read_energy(self) -> VariantEnergy:
        """Return what the energy rounds say of this artifact, by one source."""
        return variant_energy(self.energy_rounds, self.label, self.no_energy_because)

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
        if self.left_out:
            return f"no round was valid: {self.left_out_because}"
        return "no round was measured"

    def _not_said(self, metric: str, confidence: float) -> Estimate:
        unit = _UNITS.get(metric, "ns")
        because = not_its_own if unit in _UNITS_OF_THE_PROCESS else not_a_latency
        return unknown(unit, because(self.emulated_by), confidence=confidence)

    def _times(self, field: Literal["model_load_ns", "first_inference_ns"], confidence: float) -> Estimate:
        values = [float(getattr(timed.block, field)) for timed in self.timed if timed.block.HasField(field)]
        if not values:
            return unknown("ns", self.why_nothing(), confidence=confidence)
        return value_over_rounds(values, "ns", confidence)

    def _memory(self, confidence: float) -> Estimate:
        found = [peak_above_runtime(timed.block) for timed in self.timed]
        peaks = [peak for peak in found if peak is not None]
        if not peaks:
            told = (timed.block.memory.reason or timed.block.memory.peak_source for timed in reversed(self.timed))
            reason = next(filter(None, told), "")
            return unknown("B", reason or self.why_nothing(), confidence=confidence)
        return value_over_rounds(peaks, "B", confidence)

    def _build(self, confidence: float) -> Estimate:
        """Return what the one build took: it is over, so that a requirement on it is a fact, not an estimate."""
        block = self.preparation
        if block is None:
            return unknown("ns", "nothing is compiled on this device for this model", confidence=confidence)
        if not block.HasField("build_ns"):
            reason = "the device found it compiled and no longer knows how long that took"
            return unknown("ns", reason, confidence=confidence)
        return exact(float(block.build_ns), "ns", confidence=confidence)


def peak_above_runtime(block: result_pb2.BlockResult) -> float | None:
    """Return the peak resident set (bytes) above that of the imported runtime, None where the block does not tell."""
    memory = block.memory
    imported = next((phase for phase in memory.phases if phase.name == "imported"), None)
    if imported is None or not memory.HasField("peak_resident_bytes"):
        return None
    return float(max(0, memory.peak_resident_bytes - imported.resident_bytes))


def collect(
    rounds: Sequence[result_pb2.RoundResult],
    labels: Sequence[str],
    *,
    no_energy_because: str = "",
    emulated_by: str = "",
    mode: plan_pb2.ModeSpec | None = None,
) -> dict[str, VariantRounds]:
    """Group the blocks of recorded rounds by label, in the plan's order; ``mode`` None: a single stream."""
    found = {label: _collect_one(rounds, label, no_energy_because) for label in labels}
    primary = LATENCY if mode is None else primary_of(mode)
    return {label: replace(one, emulated_by=emulated_by, primary=primary) for label, one in found.items()}


def _collect_one(rounds: Sequence[result_pb2.RoundResult], label: str, no_energy_because: str) -> VariantRounds:
    timed: list[TimedBlock] = []
    failed: list[result_pb2.BlockResult] = []
    energy: list[result_pb2.BlockResult] = []
    energy_rounds: list[result_pb2.RoundResult] = []
    left_out: list[result_pb2.BlockResult] = []
    evaluation: result_pb2.BlockResult | None = None
    preparation: result_pb2.BlockResult | None = None
    for result in sorted(rounds, key=lambda one: (one.pass_kind, one.round_index)):
        block = next((one for one in result.blocks if one.label == label and not one.role), None)
        if block is None or result.pass_kind in _NOT_OF_A_VARIANT:
            continue
        if is_left_out(result) and block.status in (result_pb2.BLOCK_STATUS_OK, result_pb2.BLOCK_STATUS_NOT_VALID):
            left_out.append(block)
        elif block.status != result_pb2.BLOCK_STATUS_OK:
            failed.append(block)
        elif result.pass_kind == result_pb2.PASS_EVALUATION:
            evaluation = block
        elif result.pass_kind == result_pb2.PASS_PREPARATION:
            preparation = block
        elif result.pass_kind == result_pb2.PASS_ENERGY:
            energy.append(block)
            energy_rounds.append(result)
        elif block.latency_ns:
            samples = np.asarray(block.latency_ns, dtype=np.int64)
            timed.append(
                TimedBlock(round_index=result.round_index, segment=result.segment, block=block, samples_ns=samples)
            )
    spoilt = first_not_valid(one for one in rounds if is_left_out(one))
    return VariantRounds(
        label=label,
        timed=tuple(timed),
        failed=tuple(failed),
        evaluation=evaluation,
        energy=tuple(energy),
        energy_rounds=tuple(energy_rounds),
        preparation=preparation,
        left_out=tuple(left_out),
        left_out_because=what_happened(spoilt) if spoilt is not None else "",
        no_energy_because=no_energy_because,
    )


def paired_times(reference: VariantRounds, candidate: VariantRounds) -> tuple[list[float], list[float]]:
    """Return the primary figure's times (ns) of the rounds in which both ran, in the same order."""
    before, after = reference.primary_times_ns(), candidate.primary_times_ns()
    both = [index for index in before if index in after]
    return [before[index] for index in both], [after[index] for index in both]
