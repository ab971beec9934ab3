"""The load marker: its pattern, and that an energy block runs it before its window."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import pytest

from steelyard_agent.worker.block import KIND_ENERGY, Block, Timing
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.codec import decode_block, decode_result, encode_block, encode_result
from steelyard_agent.worker.marker import run_marker
from steelyard_agent.worker.opening import open_runtime
from tests.agent.worker.test_worker_stopwatch import MS, FakeClock
from tests.support.models import linear_model


def test_pulses_and_rests_alternate_and_the_last_of_both_last_twice_as_long() -> None:
    clock = FakeClock(repeat(2 * MS))
    rests: list[float] = []

    def sleep(length_s: float) -> None:
        rests.append(length_s)
        clock.now_ns += round(length_s * 1e9)

    edges = run_marker(clock.work, pulse_count=3, pulse_ns=10 * MS, inner_count=1, clock=clock, sleep=sleep)
    lengths = [(b - a) // MS for a, b in zip((1, *edges), edges, strict=False)]
    # A rest comes first: what ran until then, the warm-up, is load as well.
    assert lengths == [10, 10, 10, 10, 10, 20]
    assert rests == [0.01, 0.01, 0.01, 0.02]
    assert clock.call_count == 5 + 5 + 10


def test_a_pulse_holds_whole_inferences_and_a_rest_that_ends_early_is_slept_on() -> None:
    clock = FakeClock(repeat(7 * MS))

    def short_sleep(length_s: float) -> None:
        clock.now_ns += round(length_s * 1e9) // 2 + 1

    edges = run_marker(clock.work, pulse_count=2, pulse_ns=10 * MS, inner_count=1, clock=clock, sleep=short_sleep)
    assert [(b - a) // MS for a, b in zip(edges[::2], edges[1::2], strict=True)] == [14, 21]
    assert edges[2] - edges[1] >= 10 * MS


def test_an_energy_block_marks_itself_before_its_window(tmp_path: Path) -> None:
    block = Block(
        kind=KIND_ENERGY,
        runtime_name="onnxruntime",
        model_path=str(linear_model(tmp_path / "m.onnx")),
        timing=Timing(warmup_window_ms=2, warmup_cap_ms=20),
        energy_window_ms=20,
        marker_pulse_count=2,
        marker_pulse_ms=5,
    )
    phases: list[str] = []
    result = run_block(open_runtime(decode_block(encode_block(block)), phases.append))
    assert phases.index("marker") < phases.index("window")
    edges = result.marker_edges_ns
    assert len(edges) == 4
    assert list(edges) == sorted(edges)
    assert result.window_start_ns is not None
    assert edges[-1] + 10 * MS <= result.window_start_ns
    assert decode_result(encode_result(result)) == result


def test_without_a_marker_nothing_is_marked(tmp_path: Path) -> None:
    model = str(linear_model(tmp_path / "m.onnx"))
    block = Block(kind=KIND_ENERGY, runtime_name="onnxruntime", model_path=model, energy_window_ms=5)
    phases: list[str] = []
    assert run_block(open_runtime(block, phases.append)).marker_edges_ns == ()
    assert "marker" not in phases


@pytest.mark.parametrize("values", [{"marker_pulse_count": -1}, {"marker_pulse_count": 2, "marker_pulse_ms": 0}])
def test_a_marker_that_makes_no_sense_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="marker_pulse"):
        Block(kind=KIND_ENERGY, runtime_name="x", model_path="m", **values)
