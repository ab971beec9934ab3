"""Trying a meter for a few seconds: what it says, how often, and what a measurement with it will need."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steelyard.meters.contract import Meter, MeterError, MeterFacts
from steelyard.meters.trace import TraceBuilder, trace_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a meter said in ``duration_s``; powers are None for one that only counts, and the other way round."""

    facts: MeterFacts
    duration_s: float
    sample_count: int
    rate_hz: float | None
    mean_power_w: float | None
    least_power_w: float | None
    most_power_w: float | None
    energy_j: float | None


def probe_meter(
    meter: Meter,
    *,
    duration_s: float,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Probe:
    """Open a meter, read it for a while, close it.

    Raises:
        MeterError: it is not there, answers nonsense, or says nothing.
    """
    try:
        facts = meter.open()
        builder = TraceBuilder()
        deadline_ns = clock_ns() + round(duration_s * 1e9)
        while clock_ns() < deadline_ns:
            builder.add(meter.read())
            sleep(max(facts.period_s, 0.1))
    finally:
        meter.close()
    if not len(builder):
        raise MeterError("meter_silent", f"{facts.description} said nothing in {duration_s:g} s")
    trace = trace_of(builder.message(meter="", facts=facts, blocks=(), reason=""))
    power, lasted_ns = trace.power_w, int(trace.times_ns[-1] - trace.times_ns[0])
    return Probe(
        facts=facts,
        duration_s=duration_s,
        sample_count=int(trace.times_ns.size),
        rate_hz=(trace.times_ns.size - 1) / lasted_ns * 1e9 if lasted_ns else None,
        mean_power_w=float(np.mean(power)) if power.size else None,
        least_power_w=float(np.min(power)) if power.size else None,
        most_power_w=float(np.max(power)) if power.size else None,
        energy_j=float(trace.energy_j[-1]) if trace.energy_j.size else None,
    )
