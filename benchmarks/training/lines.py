"""A line of `make bench-train`: variants of a model by seeds, trained and scored, then timed in a phase of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.compression.bench_models import cache_folder
from benchmarks.latency_block import BlockError
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, Run, span_since, this_key
from benchmarks.training.lanes import made_side_by_side
from benchmarks.training.recipe_runs import ORIGINAL, Variant, file_of
from benchmarks.training.training_tasks import TrainedModel, is_full

PHASES = ("train", "time")
SPEED_ROUND_COUNT, WINDOW_MS = 8, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``name`` of the results, the model, and what is made of it; ``timed`` are measured side by side by ``shapes``.

    ``shapes`` are those of inputs with open sizes.
    """

    name: str
    model: TrainedModel
    variants: Sequence[Variant]
    timed: Sequence[str] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """What rounds must share to be counted together."""
        return {
            "model": self.model.name,
            "training_count": self.model.training_count,
            "full": is_full(),
            "speed_rounds": SPEED_ROUND_COUNT,
            "window_ms": WINDOW_MS,
        }

    def file(self, variant: str, seed: int) -> Path:
        """Return where a variant's file is kept."""
        return file_of(self.model, self.folder, variant, seed)

    @property
    def folder(self) -> Path:
        """Where files are kept."""
        return cache_folder() / f"train-{self.name}{'-full' if is_full() else ''}"


async def train_and_time(line: Line, seed_count: int, phases: Sequence[str]) -> None:
    """Train ``seed_count`` seeds of each variant, then time the files of the first, as far as ``phases`` ask for it."""
    if "train" in phases:
        await asyncio.to_thread(train, line, seed_count)
    if "time" in phases:
        await asyncio.to_thread(time_files, line)


def train(line: Line, seed_count: int) -> None:
    """Train and score what is not recorded, side by side. A recipe that changed is run anew.

    Raises:
        BlockError: a recipe cannot be run.
    """
    results, key = ResultsFile(line.name), this_key(line.settings)
    done = {(one["variant"], one["recipe"], one["seed"]) for one in results.rounds(key) if one["kind"] == "trained"}
    as_it_came = Variant(name=ORIGINAL, recipe="")
    wanted = [(as_it_came, 0), *((one, seed) for seed in range(seed_count) for one in line.variants)]
    left = [(one, seed) for one, seed in wanted if (one.name, one.recipe, seed) not in done]
    for (variant, seed), made in made_side_by_side(line.model, line.folder, left):
        named = {"variant": variant.name, "recipe": variant.recipe, "seed": seed}
        results.append(key, {"kind": "trained", **named, **made})
    say("")


Files = dict[str, Path]


def time_files(
    line: Line, *, runtime: str = "onnxruntime", written: Callable[[Files], Files] = lambda sources: sources
) -> None:
    """Measure the files of the first seed beside the original where that is not recorded, as ``written`` writes them.

    Raises:
        BlockError: a file is not there.
    """
    from benchmarks.compression.file_speeds import median_latencies_ns

    results, key = ResultsFile(line.name), this_key(line.settings)
    begun_s = time.time()
    sources = {name: line.file(name, 0) for name in (ORIGINAL, *trained_to_time(line))}
    for path in sources.values():
        if not path.is_file():
            raise BlockError(f"there is no {path}; run the benchmark with --phase train, or with --fresh")
    files = written(sources)
    digests = {name: file_digest(path) for name, path in files.items()}
    timed = [one for one in results.rounds(key) if one["kind"] == "timed" and one["runtime"] == runtime]
    if any(one["sha256"] == digests for one in timed):
        return
    say(f"{line.name}: timed in {runtime}")
    found = median_latencies_ns(files, input_shapes=line.shapes, round_count=SPEED_ROUND_COUNT, window_ms=WINDOW_MS)
    what = {"kind": "timed", "runtime": runtime, "sha256": digests}
    results.append(key, {**what, "median_ns": found, **span_since(begun_s)})
    say("")


def trained_to_time(line: Line) -> list[str]:
    """Return which of the variants to time have a file of the first seed, as recorded.

    Raises:
        BlockError: none.
    """
    rounds = ResultsFile(line.name).rounds(this_key(line.settings))
    made = {one["variant"] for one in rounds if one["kind"] == "trained" and one["seed"] == 0}
    if not made.intersection(line.timed):
        raise BlockError(f"{line.name}: nothing was trained yet; run the benchmark with --phase train first")
    return [name for name in line.timed if name in made]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def runs_together(runs: Sequence[Run]) -> Run:
    """Return one run of the rounds of several models, with the machine and the versions of the last."""
    return dataclasses.replace(
        runs[-1],
        settings={},
        rounds=tuple(one for run in runs for one in run.rounds),
        first_day=min(run.first_day for run in runs),
        last_day=max(run.last_day for run in runs),
    )
