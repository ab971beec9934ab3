from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.meters.power_source import PowerSource
from steelyard_agent.readings import Kind, Scope
from steelyard_agent.sampler.protocol import (
    RawSample,
    SamplerOrder,
    decode_order,
    decode_sample,
    encode_order,
    encode_sample,
)

SOURCE = PowerSource(
    name="package_energy",
    kind=Kind.COUNTER,
    scope=Scope.SOC,
    addresses=("/sys/class/powercap/intel-rapl:0/energy_uj",),
    scale=1e-6,
    detail="RAPL package-0",
    range_max_counts=262143328850,
)


@given(
    root=st.text(min_size=1),
    period_ms=st.integers(1, 60_000),
    jitter=st.booleans(),
    cores=st.lists(st.integers(0, 1023)),
    source_count=st.integers(0, 3),
)
def test_every_order_comes_back(root, period_ms, jitter, cores, source_count):
    order = SamplerOrder(
        system_root=root,
        sources=(SOURCE,) * source_count,
        period_ms=period_ms,
        jitter=jitter,
        avoid_core_ids=tuple(cores),
    )
    line = encode_order(order)
    assert "\n" not in line
    assert decode_order(line) == order


@given(
    st.builds(RawSample, source_index=st.integers(0, 99), time_ns=st.integers(0), raw=st.integers())
    | st.builds(RawSample, source_index=st.integers(0, 99), time_ns=st.integers(0), raw=st.none(), reason=st.text())
)
def test_every_sample_comes_back(sample):
    line = encode_sample(sample)
    assert "\n" not in line
    assert decode_sample(line) == sample


@pytest.mark.parametrize("period_ms", [0, 60_001])
def test_a_period_that_cannot_be_kept_is_refused(period_ms):
    with pytest.raises(ValueError, match="sample period"):
        SamplerOrder(system_root="/", sources=(), period_ms=period_ms)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        '{"source": 0}',
        '{"source": 0, "time_ns": 1, "raw": 1.5}',
        '{"source": true, "time_ns": 1, "raw": 1}',
    ],
)
def test_a_line_that_is_no_sample_is_refused(line):
    with pytest.raises(ValueError):
        decode_sample(line)


def test_an_order_with_unknown_keys_is_refused():
    record = json.loads(encode_order(SamplerOrder(system_root="/", sources=(), period_ms=1)))
    with pytest.raises(ValueError, match="not a sampler order"):
        decode_order(json.dumps({**record, "shell": "rm"}))
