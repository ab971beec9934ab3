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


def _curve(block: result_pb2.BlockResult, *offsets_ms: int, **fields: float) -> None:
    for offset_ms in offsets_ms:
        point = block.curve.add(offset_ms=offset_ms, p50_ns=1_000_000)
        for name, value in fields.items():
            setattr(point, name, value)


def _sequences(block: result_pb2.BlockResult, *step_counts: int) -> None:
    for count in step_counts:
        block.sequences.add(step_ns=[5] * count)


def _operator(block: result_pb2.BlockResult, **fields: str) -> None:
    block.operators.inference_count = 1
    block.operators.operators.add(**fields)


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
        (lambda _, block: block.readings.add(name="p", rate_hz=math.nan), "makes no sense .rate_hz nan"),
        (lambda result, _: result.ClearField("pass_kind"), "it is of no pass"),
        (lambda result, _: result.blocks.extend([result.blocks[0]] * 1001), "it has 1002 blocks"),
        (lambda _, block: setattr(block, "missed_count", 2**32 - 1), "'a' has a missed_count of 4294967295"),
        (lambda _, block: setattr(block, "batch_size", 2**32 - 1), "'a' has a batch_size of 4294967295"),
        (lambda _, block: block.preprocessing_ns.extend([1] * (2**21 + 1)), "'a' has 2097153 preprocessing_ns"),
        (lambda _, block: setattr(block.validity, "other_load", math.nan), "'a' says other_load of its validity nan"),
        (lambda _, block: setattr(block.validity, "other_load", -1.0), r"says other_load of its validity -1\.0"),
        (lambda _, block: _curve(block, 500, 400), "'a' has a curve that goes back from 500 to 400 ms"),
        (lambda _, block: _curve(block, 500, 500), "goes back from 500 to 500 ms"),
        (lambda _, block: _curve(block, 500, temperature_c=math.nan), "'a' has a temperature_c of a point of nan"),
        (lambda _, block: _curve(block, 500, temperature_c=1e6), r"a temperature_c of a point of 1000000\.0"),
        (lambda _, block: _curve(block, 500, p90_ns=0), "'a' has a p90_ns of a point of 0"),
        (lambda _, block: _sequences(block, 4, 5), "'a' has sequences of 4 and of 5 steps"),
        (lambda _, block: _sequences(block, 2**20, 2**20, 2**20), "'a' has 3145728 steps"),
        (lambda _, block: _operator(block, name="n" * 1_000_000), "name 'n{40}'... of 1000000 characters"),
        (lambda _, block: block.notes.append("x" * 20_000), "notes 'x{40}'... of 20000 characters"),
    ],
)
def test_nonsense_is_refused_with_its_value(spoil: Spoil, part: str) -> None:
    (result,) = latency_rounds({"a": 1e6}, 1)
    spoil(result, result.blocks[0])
    with pytest.raises(SteelyardError, match=part) as caught:
        refuse_nonsense(result)
    assert caught.value.reason == "bad_round"
    assert "update the agent" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda result, _: setattr(result, "pass_kind", 99), "pass_kind 99"),
        (lambda _, block: setattr(block, "status", -1), "status -1"),
        (lambda _, block: setattr(block, "role", 77), "role 77"),
        (lambda _, block: setattr(block.validity, "verdict", 9), "verdict 9"),
        (lambda _, block: setattr(block.throttle, "verdict", 9), "verdict 9"),
        (lambda _, block: block.readings.add(name="power", scope=99), "scope 99"),
    ],
)
def test_a_kind_that_is_not_known_is_refused_since_nothing_could_be_said_of_it(spoil: Spoil, part: str) -> None:
    (result,) = latency_rounds({"a": 1e6}, 1)
    spoil(result, result.blocks[0])
    with pytest.raises(SteelyardError, match=f"{part}, which is not known here.: update the controller"):
        refuse_nonsense(result)


def test_fields_of_a_newer_agent_are_looked_over() -> None:
    (result,) = latency_rounds({"a": 1e6}, 1)
    # Field 900, a text, in the round and in its block.
    newer = b"\xa2\x38\x03new"
    result.MergeFromString(newer)
    result.blocks[0].MergeFromString(newer)
    refuse_nonsense(result_pb2.RoundResult.FromString(result.SerializeToString()))


def test_rounds_of_an_agent_from_before_modes_and_verdicts_pass() -> None:
    (result,) = latency_rounds({"a": 1e6}, 1)
    for name in ("validity", "window_ns", "batch_size", "cpu_ns", "role"):
        result.blocks[0].ClearField(name)
    refuse_nonsense(result)
