"""A round that no device could have measured is refused before it is recorded for good."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from steelyard.control.round_check import refuse_nonsense
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import result_pb2
from tests.controller.analysis.planted_rounds import energy_round, evaluation_round, failed_block, latency_rounds

Spoil = Callable[[result_pb2.RoundResult, result_pb2.BlockResult], object]


def test_real_rounds_pass() -> None:
    for result in (*latency_rounds({"a": 1e6, "b": 3e9}, 3), energy_round({"a": None}), evaluation_round(["a"])):
        refuse_nonsense(result)


def test_what_a_failed_block_left_behind_is_not_looked_at_as_latency() -> None:
    (result,) = latency_rounds({"a": 1e6}, 1)
    result.blocks[0].CopyFrom(failed_block("a", (result_pb2.BLOCK_STATUS_CRASHED, "signal 11")))
    result.blocks[0].latency_ns.append(0)
    refuse_nonsense(result)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda result, _: setattr(result.started_at, "seconds", 2**63 - 1), "started_at is no time"),
        (lambda result, _: setattr(result.finished_at, "nanos", -1), "finished_at is no time"),
        (lambda _, block: block.latency_ns.append(0), "'a' says latency_ns 0"),
        (lambda _, block: block.latency_ns.append(2**62), "says latency_ns 4611686018427387904"),
        (lambda _, block: setattr(block, "build_ns", -1), "says build_ns -1"),
        (lambda _, block: setattr(block.memory, "peak_resident_bytes", 2**63 - 1), "says peak_resident_bytes"),
        (lambda _, block: setattr(block.memory.phases[0], "file_bytes", -5), "says file_bytes of phase 'imported' -5"),
        (lambda _, block: block.notes.extend(["x"] * 1001), "has 1001 notes, more than 1000"),
        (lambda _, block: block.throttle.evidence.extend(["x"] * 1001), "1001 sentences on throttling"),
        (lambda _, block: block.energy_window.marker_edges_ns.extend(range(1001)), "1001 marker edges"),
        (lambda _, block: [block.circumstances.add(name=str(i)) for i in range(1001)], "1001 circumstances"),
        (lambda _, block: block.readings.add(name="idle_power", value=math.nan), "'a' says idle_power nan"),
        (lambda _, block: block.readings.add(name="idle_power", value=math.inf), "'a' says idle_power inf"),
        (
            lambda _, block: block.readings.add(name="idle_power_uncertainty", value=-0.1),
            r"says idle_power_uncertainty -0\.1",
        ),
    ],
)
def test_nonsense_is_refused_with_its_value(spoil: Spoil, part: str) -> None:
    (result,) = latency_rounds({"a": 1e6}, 1)
    spoil(result, result.blocks[0])
    with pytest.raises(SteelyardError, match=part) as caught:
        refuse_nonsense(result)
    assert caught.value.reason == "bad_round"
    assert "update the agent" in str(caught.value)
