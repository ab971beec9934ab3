"""The options of a night's measurements."""

from __future__ import annotations

from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.gate_plan import GateOptions
from steelyard.control.plans import MeasurementOptions
from steelyard.control.verdict_options import VerdictOptions
from steelyard.control.written_values import parse_cores
from steelyard.suites.suite import RuntimeSlot, Suite

PRIORITY = "nightly"


def cell_options(
    suite: Suite,
    runtime: RuntimeSlot,
    *,
    title: str,
    min_rounds: int,
    max_rounds: int,
    verdicts: VerdictOptions | None = None,
    labels: tuple[str, ...] = (),
    numeric_check: bool | None = None,
    energy: bool | None = None,
) -> MeasurementOptions:
    """Return how a cell is measured under one of the suite's runtimes."""
    measure = suite.measure
    return MeasurementOptions(
        min_round_count=min(min_rounds, max_rounds),
        max_round_count=max_rounds,
        device_wait_s=suite.night.device_wait_s,
        priority=PRIORITY,
        title=title,
        labels=labels,
        runtime=runtime.runtime,
        thread_count=runtime.threads,
        providers=runtime.providers,
        graph_optimization=runtime.graph_optimization,
        spinning=runtime.spinning,
        arena=runtime.arena,
        allow_fallback=runtime.allow_fallback,
        cores=parse_cores(runtime.cores) if runtime.cores else (),
        sample_window_ms=round(measure.sample_window_s * 1000),
        block_timeout_s=measure.block_timeout_s,
        meters=measure.meters if energy is not False else (),
        energy=energy_options(suite, wanted=measure.energy if energy is None else energy),
        gate=GateOptions(wanted=measure.gate, max_contention=measure.max_contention),
        numeric_check=measure.numeric_check if numeric_check is None else numeric_check,
        verdicts=verdicts or VerdictOptions(),
    )


def energy_options(suite: Suite, *, wanted: bool) -> EnergyOptions:
    """Return the energy pass of a cell, or none."""
    return EnergyOptions() if wanted else EnergyOptions(round_count=0)
