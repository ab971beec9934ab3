"""Asleep for the meters: nothing is loaded in an idle block, and windows begin when all has settled."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.worker import idle, modes
from steelyard_agent.worker.block import KIND_ENERGY, KIND_IDLE, Block, WorkerResult
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.opening import open_runtime
from steelyard_agent.worker.timed import energy_window_ns
from tests.support import models

MS = 1_000_000


@pytest.fixture(autouse=True)
def settles_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SETTLE_NS", 5 * MS)


def run(block: Block) -> tuple[WorkerResult, list[str]]:
    phases: list[str] = []
    return run_block(open_runtime(block, phases.append)), phases


def test_a_window_begins_when_it_has_settled_and_as_long_again_is_slept_behind_it() -> None:
    now = [7 * MS]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        # Too short once, as a sleep that a signal interrupts.
        now[0] += round(seconds * 1e9) - (3 * MS if len(slept) == 1 else 0)

    assert idle.rest(30 * MS, clock=lambda: now[0], sleep=sleep) == (12 * MS, 42 * MS)
    assert now[0] == 47 * MS
    assert len(slept) == 2


def test_an_idle_block_loads_nothing_and_sleeps() -> None:
    result, phases = run(Block(kind=KIND_IDLE, runtime_name="onnxruntime", idle_window_ms=200))
    assert result.is_idle
    assert result.window_start_ns is not None
    assert result.window_end_ns == result.window_start_ns + 200 * MS
    assert (result.sample_count, result.model_load_ns, result.providers, result.latency_ns) == (0, None, (), ())
    assert result.runtime_version
    assert phases == ["imported", "window", "steady"]
    assert result.cpu_ns is not None
    assert result.window_ns is not None
    # Asleep: what this process used is next to nothing of the window.
    assert result.cpu_ns < 0.2 * result.window_ns
    assert result.contention is not None


def test_a_model_that_rests_once_it_is_loaded_has_the_edges_of_that(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx")
    block = Block(
        kind=KIND_ENERGY, runtime_name="onnxruntime", model_path=str(model), energy_window_ms=20, loaded_rest_ms=30
    )
    result, phases = run(block)
    assert result.loaded_start_ns is not None
    assert result.window_start_ns is not None
    assert result.loaded_end_ns == result.loaded_start_ns + 30 * MS
    assert result.loaded_end_ns < result.window_start_ns
    assert phases.index("loaded") < phases.index("loaded_rest") < phases.index("first_run")
    assert not result.is_idle
    without, _ = run(Block(kind=KIND_ENERGY, runtime_name="onnxruntime", model_path=str(model), energy_window_ms=20))
    assert without.loaded_start_ns is None


@pytest.mark.parametrize(
    ("estimate_ms", "mode", "window_ms"),
    [
        # 100 inferences take a second: the window lasts as it was asked for.
        (10.0, Mode(), 10_000),
        # They take 20 s, and a tenth more.
        (200.0, Mode(), 22_000),
        # They would take 500 s.
        (5000.0, Mode(), 120_000),
        # Four arrivals a second, however quick the model is.
        (1.0, Mode(name=modes.PACED, rate_hz=4.0), 27_500),
    ],
)
def test_a_slow_models_window_goes_on_until_it_holds_enough(estimate_ms: float, mode: Mode, window_ms: int) -> None:
    block = Block(
        kind=KIND_ENERGY,
        runtime_name="onnxruntime",
        model_path="m",
        energy_window_ms=10_000,
        least_inference_count=100,
        longest_energy_window_ms=120_000,
        mode=mode,
    )
    assert energy_window_ns(block, estimate_ms * 1e6) == window_ms * MS


def test_a_window_that_was_asked_for_is_not_made_longer() -> None:
    block = Block(kind=KIND_ENERGY, runtime_name="onnxruntime", model_path="m", energy_window_ms=3000)
    assert energy_window_ns(block, 5e9) == 3000 * MS


@pytest.mark.parametrize("field", ["idle_window_ms", "least_inference_count", "loaded_rest_ms"])
def test_windows_that_make_no_sense_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Block(kind=KIND_IDLE, runtime_name="onnxruntime", **{field: -1})
