"""Commands that a report prints measure as the suite does."""

from __future__ import annotations

import shlex

from steelyard.nightly.notes import Factor
from steelyard.nightly.reproducing import reproducing
from steelyard.nightly.rollback import Rollback
from steelyard.suites.suite import MeasureSettings, RuntimeSlot
from tests.support.parsed_commands import parse

MODEL = Rollback(factor=Factor.MODEL, artifact="a" * 64)
RUNTIME = Rollback(factor=Factor.RUNTIME, environments=("frozen", "own"))


def command(way: Rollback, slot: RuntimeSlot, measure: MeasureSettings | None = None) -> str:
    """Return the command, which must be one that the command line takes."""
    made = reproducing(way, artifact="b" * 64, device="pi5", slot=slot, measure=measure or MeasureSettings())
    parse(shlex.split(made)[1:])
    return made


def test_commands_that_reproduce_name_what_was_measured() -> None:
    slot = RuntimeSlot(runtime="onnxruntime", threads=2)
    assert command(MODEL, slot) == (
        "steelyard compare aaaaaaaaaaaa bbbbbbbbbbbb --device pi5 --threads 2 --runtime onnxruntime"
    )
    assert command(RUNTIME, slot) == (
        "steelyard measure bbbbbbbbbbbb --device pi5 --threads 2 --runtime onnxruntime --vary env=frozen,own"
    )
    assert command(Rollback(factor=Factor.AGAIN), RuntimeSlot()) == (
        "steelyard measure bbbbbbbbbbbb --device pi5 --threads 1"
    )


def test_a_runtime_that_is_put_back_goes_without_its_environment() -> None:
    made = command(RUNTIME, RuntimeSlot(runtime="onnxruntime@own"))
    assert "--runtime onnxruntime --vary env=frozen,own" in made


def test_commands_that_reproduce_measure_as_the_suite_does() -> None:
    slot = RuntimeSlot(
        providers=("XNNPACKExecutionProvider:threads=2",),
        cores="0-3",
        graph_optimization="basic",
        spinning=False,
        arena=True,
        allow_fallback=True,
    )
    measure = MeasureSettings(gate=False, max_contention=0.125, sample_window_s=1.0)
    made = command(MODEL, slot, measure)
    assert made.partition(" --threads 1 ")[2] == (
        "--provider XNNPACKExecutionProvider:threads=2 --cores 0-3 --graph-optimization basic --no-spinning --arena "
        "--allow-fallback --no-gate --max-contention 12.5% --sample-window 1000ms"
    )
