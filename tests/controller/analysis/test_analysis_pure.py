"""What a measurement says follows from what was recorded, and from nothing else: no clock, no environment, no order."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import steelyard.analysis
import steelyard.stats
from steelyard.analysis.measurement import build_measurement
from tests.controller.analysis.planted_rounds import energy_round, evaluation_round, given, latency_rounds

PAIR = {"original": 2e6, "fast": 1e6}
_IMPURE = frozenset(
    {"time", "datetime", "os", "platform", "random", "socket", "subprocess", "locale", "pathlib", "uuid"}
)
_ONCE_MORE = """
import hashlib
from steelyard.analysis.measurement import build_measurement
from tests.controller.analysis.test_analysis_pure import recorded
print(hashlib.sha256(build_measurement(recorded()).SerializeToString(deterministic=True)).hexdigest())
"""


def recorded():
    rounds = latency_rounds(PAIR, 12, segments=[0] * 6 + [1] * 6)
    return given(
        list(PAIR),
        [evaluation_round(list(PAIR)), *rounds, energy_round({"original": 0.002, "fast": 0.001})],
        correct={"original": 1900, "fast": 1880},
        requirements=["p90<5ms", "drop<2pp", "energy<5mJ", "throughput>1"],
    )


def test_two_runs_are_equal_to_the_last_bit() -> None:
    once, again = (build_measurement(recorded()).SerializeToString(deterministic=True) for _ in range(2))
    assert once == again


def test_the_order_in_which_rounds_arrive_does_not_matter() -> None:
    there, back = recorded(), recorded()
    there.rounds.reverse()
    assert build_measurement(there).variants == build_measurement(back).variants


def test_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = recorded()

    def forbidden(*_: object) -> float:
        raise AssertionError("a clock was read")

    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"):
        monkeypatch.setattr(time, name, forbidden)
    assert build_measurement(inputs).round_count == 12


@pytest.mark.parametrize(("seed", "zone"), [("1", "UTC"), ("2", "Asia/Tokyo")])
def test_another_process_in_another_place_says_the_same(seed: str, zone: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
    printed = subprocess.run(
        [sys.executable, "-c", _ONCE_MORE], env=environment, capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(build_measurement(recorded()).SerializeToString(deterministic=True)).hexdigest()
    assert printed.stdout.strip() == here


@pytest.mark.parametrize("package", [steelyard.analysis, steelyard.stats])
def test_nothing_that_tells_time_or_place_is_imported(package) -> None:
    for path in sorted(Path(package.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            assert not {name.partition(".")[0] for name in modules} & _IMPURE, path.name
