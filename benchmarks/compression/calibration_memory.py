"""Peak memory of static int8 with 1,000 calibration samples beside that with 100, by calibration method."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compression.bench_models import bench_models
from benchmarks.compression.compress_process import run_quantizer
from benchmarks.compression.peers import our_quantizers
from benchmarks.figures import Standing, verdict_text
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.compress.calibrators.range_settings import METHODS

NAME = "calibration_memory"
ROUND_COUNT = 3
FEW, MANY = 100, 1000
TARGET = 1.2
MODELS = ("fashion_mobilenet", "efficientnet_lite0")
SETTINGS: dict[str, Any] = {"samples": [FEW, MANY], "methods": list(METHODS)}


async def measure(round_count: int) -> None:
    """Measure until each model and method has ``round_count`` rounds; models that are not here are left out."""
    for name in MODELS:
        for model in bench_models(name):
            await asyncio.to_thread(measure_model, name, model.model, round_count)


def measure_model(name: str, model: Path, round_count: int) -> None:
    """Measure one model with every method, going on behind what is in the results file."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        samples = {count: _drawn(model, count, Path(work) / f"{count}.npz") for count in (FEW, MANY)}
        for method in _missing(name, results.rounds(key), round_count):
            say(f"{NAME}: {name}, {method}")
            found = {str(count): _taken(model, samples[count], method, Path(work)) for count in (FEW, MANY)}
            results.append(key, {"model": name, "method": method, "runs": found})
    say("")


def _missing(name: str, rounds: Sequence[dict[str, Any]], round_count: int) -> Iterator[str]:
    """Yield the methods that still need a round, in turn."""
    done = {method: sum((one["model"], one["method"]) == (name, method) for one in rounds) for method in METHODS}
    for number in range(round_count):
        yield from (method for method in METHODS if done[method] <= number)


def _drawn(model: Path, count: int, out: Path) -> Path:
    """Write packed samples of bytes, as pictures are packed: what they show does not matter to the memory."""
    from steelyard.artifacts import read_artifact
    from steelyard.tasks.npz import write_npz
    from steelyard.tasks.packing import TABLE_SUFFIX, VALUES_SUFFIX

    (spec,) = read_artifact(model, work_dir=out.parent).signature.inputs
    shape = [one.size for one in spec.dimensions][1:]
    values = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    table = (np.arange(256, dtype=np.float32) - np.float32(127.0)) / np.float32(128.0)
    out.write_bytes(write_npz({spec.name + VALUES_SUFFIX: values, spec.name + TABLE_SUFFIX: table}))
    return out


def _taken(model: Path, samples: Path, method: str, work: Path) -> dict[str, float]:
    """Return the peak memory and the seconds of one run in a fresh process."""
    quantizer = our_quantizers(())[0]
    request = {
        "model": str(model),
        "packed": str(samples),
        "out": str(work / "made.onnx"),
        "settings": {**quantizer.settings, "recipe": f"static-int8,calibration_method={method}"},
    }
    taken = run_quantizer(Path(sys.executable), quantizer.program, request, work=work)
    return {"peak_rss_bytes": taken.peak_rss_bytes, "seconds": taken.seconds}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """The rounds of a model and a method."""

    name: str
    rounds: tuple[dict[str, Any], ...]

    @property
    def ratios(self) -> list[float]:
        """Peak with many samples over that with few, by round."""
        return [
            one["runs"][str(MANY)]["peak_rss_bytes"] / one["runs"][str(FEW)]["peak_rss_bytes"] for one in self.rounds
        ]

    def row(self) -> list[str]:
        """Return the row of the table."""
        peaks = [
            f"{max(one['runs'][str(count)]['peak_rss_bytes'] for one in self.rounds) / 2**20:.0f} MiB"
            for count in (FEW, MANY)
        ]
        return [self.name, str(len(self.rounds)), *peaks, f"{min(self.ratios):.3f} to {max(self.ratios):.3f}"]


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    cases = _cases(run.rounds)
    return Table(
        title="Memory of calibration",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "`static-int8` with each calibration method in a fresh process; peak resident set (VmHWM) of the whole "
            f"process with {MANY:,} and with {FEW} drawn samples, packed as pictures are: the highest of the rounds, "
            "and ratios paired by round. `fashion_mobilenet` has inputs of 28 x 28, `efficientnet_lite0` of 3 x 224 x "
            f"224: {MANY:,} of them would take 602 MB in float32."
        ),
        run=run,
        head=["model, method", "rounds", f"{FEW} samples", f"{MANY:,} samples", "ratio"],
        rows=[case.row() for case in cases],
        verdicts=[verdict({case.name: max(case.ratios) for case in cases})],
    )


def _cases(rounds: Sequence[dict[str, Any]]) -> list[_Case]:
    names = dict.fromkeys((one["model"], one["method"]) for one in rounds)
    return [
        _Case(
            name=f"{model}, {method}",
            rounds=tuple(one for one in rounds if (one["model"], one["method"]) == (model, method)),
        )
        for model, method in sorted(names, key=lambda pair: (MODELS.index(pair[0]), METHODS.index(pair[1])))
    ]


def verdict(worst: Mapping[str, float]) -> str:
    """Return one sentence on the worst ratio of each case: whether none is beyond ``TARGET``.

    Peaks of one program on one input differ by a few per cent, so that the worst round decides, and no interval.
    """
    target = f"{MANY:,} samples take at most {TARGET:g} times the memory of {FEW}"
    name = max(worst, key=lambda one: worst[one])
    stands = Standing.MET if worst[name] <= TARGET else Standing.MISSED
    return verdict_text("memory", target, stands, f"{worst[name]:.3f} at worst ({name})")
