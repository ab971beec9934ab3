from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.meters.contract import MeterFacts, MeterSample, Scope
from steelyard.meters.trace import Trace, TraceBuilder, trace_of
from steelyard_protocol.v1 import common_pb2, control_pb2

FACTS = MeterFacts(
    description="a plug", scope=Scope.WALL, period_s=0.5, power_resolution_w=0.1, energy_resolution_j=3.6
)


@given(
    st.lists(st.tuples(st.integers(1, 10**10), st.floats(0, 100)), max_size=50),
    st.integers(-(10**18), 10**18),
    st.booleans(),
)
def test_what_was_gathered_comes_back_as_it_was(steps: list[tuple[int, float]], start: int, counts: bool) -> None:
    builder = TraceBuilder()
    now, samples = start, []
    for step, value in steps:
        now += step
        samples.append(MeterSample(time_ns=now, power_w=value, energy_j=2 * value if counts else None))
    builder.add(samples)
    message = builder.message(meter="m", facts=FACTS, blocks=(), reason="")
    trace = trace_of(control_pb2.MeterTrace.FromString(message.SerializeToString()))
    assert trace.times_ns.tolist() == [one.time_ns for one in samples]
    assert trace.power_w.tolist() == [one.power_w for one in samples]
    assert trace.energy_j.tolist() == [one.energy_j for one in samples if counts]
    assert len(builder) == len(samples)


def test_facts_and_blocks_travel_with_the_samples() -> None:
    builder = TraceBuilder()
    block = control_pb2.HeardBlock(round_index=1, label="a", begin_ns=5)
    message = builder.message(meter="m", facts=FACTS, blocks=[block], reason="late")
    assert (message.description, message.scope, message.rate_hz) == ("a plug", common_pb2.READING_SCOPE_WALL, 2.0)
    assert (message.power_resolution_w, message.energy_resolution_j) == (0.1, 3.6)
    assert (list(message.blocks), message.reason) == ([block], "late")
    assert trace_of(message).period_ns == 0.0


def test_time_that_stands_still_is_dropped_and_a_full_trace_takes_no_more() -> None:
    builder = TraceBuilder(max_sample_count=3)
    builder.add(MeterSample(time_ns=time, power_w=1.0) for time in (5, 5, 4, 6, 7, 8, 9))
    trace = trace_of(builder.message(meter="m", facts=None, blocks=(), reason=""))
    assert trace.times_ns.tolist() == [5, 6, 7]
    assert builder.is_full


def test_a_counter_that_is_told_only_now_and_then_is_no_counter() -> None:
    builder = TraceBuilder()
    builder.add([MeterSample(time_ns=1, power_w=1.0, energy_j=5.0), MeterSample(time_ns=2, power_w=1.0)])
    trace = trace_of(builder.message(meter="m", facts=None, blocks=(), reason=""))
    assert (trace.power_w.size, trace.energy_j.size) == (2, 0)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="1 powers and 0 counts at 2 times"):
        trace_of(control_pb2.MeterTrace(start_ns=1, step_ns=[1], power_w=[1.0]))
    with pytest.raises(ValueError, match="rise"):
        Trace(times_ns=np.array([2, 1]), power_w=np.array([1.0, 1.0]), energy_j=np.empty(0))
