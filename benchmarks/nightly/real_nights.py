"""Thirty nights on this machine's own agent, minutes instead of days apart: three changes planted, under changing load.

The nights are those of `steelyard nightly run`, each a process of its own; what a person would do in the morning
(`steelyard alerts accept`) is done for what was planted and found.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compression.bench_models import cache_folder
from benchmarks.neighbour import busy_share
from benchmarks.nightly.planted_models import write_encoder, write_enhancer, write_less_accurate, write_upscaler
from benchmarks.nightly.real_night_table import DOWNGRADE, LESS_ACCURATE, SLOWER, table_of
from benchmarks.peer_environments import environment_python
from benchmarks.progress import counted, say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.demo.run import assets

NAME = "real_nights"
ROUND_COUNT = 30
# Of one core, drawn anew for each night.
# A list: keys of results are compared as JSON gives them back.
SHARES = [0.0, 0.15, 0.3, 0.45]
SETTINGS = {"shares": SHARES, "downgrade": DOWNGRADE, "slower": SLOWER, "less_accurate": LESS_ACCURATE, "rounds": 6}
_NIGHT_LIMIT_S = 1800.0
_EXIT_CODES = frozenset({0, 1, 3})
_SUITE = """
[suite]
name = "desk"
budget = "20m"
[devices]
names = ["local"]
[[task]]
name = "clothes"
file = "{task}"
[[runtime]]
name = "stable"
runtime = "onnxruntime@stable"
threads = 1
[[model]]
name = "clothes"
registry = "registry/clothes"
newest = "*.onnx"
task = "clothes"
[[model]]
name = "enhancer"
registry = "registry/enhancer"
newest = "*.onnx"
[[model]]
name = "encoder"
file = "encoder.onnx"
[[model]]
name = "upscaler"
file = "upscaler.onnx"
[measure]
gate = false
max_contention = "100%"
min_rounds = 6
max_rounds = 6
sample_window = "100ms"
energy = false
"""


async def measure(round_count: int) -> None:
    """Run nights until ``round_count`` are in the results file; an interrupted one is gone on with."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    folder = cache_folder() / NAME
    for index in counted(NAME, len(results.rounds(key)), round_count):
        if index == 0:
            await asyncio.to_thread(_begin, folder)
        results.append(key, await asyncio.to_thread(_night, folder, index + 1))


def table() -> Table | None:
    """Return what the nights found, None when there were none."""
    run = ResultsFile(NAME).latest()
    return None if run is None else table_of(run, f"python -m benchmarks.run {NAME}")


def _begin(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("clothes", "enhancer"):
        (folder / "registry" / name).mkdir(parents=True)
    shutil.copy(assets() / "fashion_resnet.onnx", folder / "registry" / "clothes" / "v1.onnx")
    write_enhancer(folder / "registry" / "enhancer" / "v1.onnx", blocks=5)
    write_encoder(folder / "encoder.onnx")
    write_upscaler(folder / "upscaler.onnx")
    (folder / "suite.toml").write_text(_SUITE.format(task=assets() / "fashion_mnist.toml"))
    _environment(folder, "new", "ort-new")
    _environment(folder, "stable", "ort-new")


def _environment(folder: Path, name: str, peer: str) -> None:
    """Let a runtime environment of the agent ``local`` be another interpreter."""
    state = folder / "state" / "local-agent"
    program = [sys.executable, "-m", "steelyard_agent"]
    with contextlib.suppress(subprocess.CalledProcessError):
        _run([*program, "environment", "remove", name, "--state-directory", str(state)])
    python = str(environment_python(peer))
    _run([*program, "environment", "add", name, "--python", python, "--state-directory", str(state)])


def _night(folder: Path, number: int) -> dict[str, Any]:
    _plant(folder, number)
    # The same load for the same night, whenever it is gone on with.
    share = random.Random(number).choice(SHARES)
    with busy_share(share):
        report = _run_night(folder)
    if report["header"]["night_number"] != number:
        raise AssertionError(f"night {report['header']['night_number']} was run for night {number}; use --fresh")
    _accept_planted(folder, report, number)
    return {"share": share, **_told(report)}


def _plant(folder: Path, number: int) -> None:
    registry = folder / "registry"
    if number == DOWNGRADE:
        _environment(folder, "stable", "ort-old")
    if number == SLOWER:
        write_enhancer(registry / "enhancer" / "v2.onnx", blocks=6)
    if number == LESS_ACCURATE:
        write_less_accurate(registry / "clothes" / "v1.onnx", registry / "clothes" / "v2.onnx", noise=0.3)


def _run_night(folder: Path) -> dict[str, Any]:
    command = [*_steelyard(folder), "nightly", "run", str(folder / "suite.toml"), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_NIGHT_LIMIT_S, check=False, env=_world())
    if ran.returncode not in _EXIT_CODES:
        raise AssertionError(f"a night ended with {ran.returncode}: {ran.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(ran.stdout)
    report: dict[str, Any] = document.get("report", document)
    return report


def _accept_planted(folder: Path, report: dict[str, Any], number: int) -> None:
    if number not in {DOWNGRADE, SLOWER, LESS_ACCURATE, DOWNGRADE + 1, SLOWER + 1, LESS_ACCURATE + 1}:
        return
    for finding in _confirmed(report):
        if finding["alert_id"]:
            say(f"{NAME}: accepting {finding['series']['model']} {finding['series']['metric']}")
            command = [*_steelyard(folder), "alerts", "accept", finding["alert_id"], "--reason", "planted"]
            _run(command)


def _confirmed(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in report["regressions"]:
        yield from group["findings"]


def _told(report: dict[str, Any]) -> dict[str, Any]:
    """Return what the table is made of."""
    return {
        "night": report["header"]["night_number"],
        "verdict": report["verdict"],
        "groups": [
            {
                "cause": group["cause"],
                "title": group["title"],
                "findings": [_brief(one) for one in group["findings"]],
            }
            for group in report["regressions"]
        ],
        **{
            name: [_brief(one) for one in report[name]]
            for name in ("suspected", "undecided", "not_reproduced", "improved", "fixed", "known")
        },
        "devices": [{"state": one["state"], "sentence": one["sentence"]} for one in report["devices"]],
        "planned": report["coverage"]["planned_count"],
        "measured": report["coverage"]["measured_count"],
        "gaps": [one["reason"] for one in report["coverage"]["gaps"]][:5],
        "method": {
            name: report["method"][name] for name in ("hypothesis_count", "candidate_count", "confirmation_count")
        },
    }


def _brief(finding: dict[str, Any]) -> dict[str, Any]:
    ratio = finding["ratio"] or {}
    return {
        "model": finding["series"]["model"],
        "metric": finding["series"]["metric"],
        "ratio": ratio.get("value"),
        "low": ratio.get("low"),
        "high": ratio.get("high"),
        "first_bad_night": finding["first_bad_night"],
        "rounds": finding["round_count"],
        "reason": finding["reason"],
    }


def _steelyard(folder: Path) -> list[str]:
    return [sys.executable, "-m", "steelyard", "--state-directory", str(folder / "state")]


def _world() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"CI", "STEELYARD_CONTROLLER"}}


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=_world())
