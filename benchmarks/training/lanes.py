"""Trainings side by side, each in a process of its own with its share of the cores."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import connection
from pathlib import Path
from typing import Any

from benchmarks.latency_block import BlockError
from benchmarks.training.recipe_runs import RecipeRuns, Variant
from benchmarks.training.training_tasks import TrainedModel
from steelyard.errors import SteelyardError

# Two threads of one training are worth less than two trainings; more of them cost memory (MiniLM 2 GB each).
_MOST_LANES = 4
Job = tuple[Variant, int]
_runs: RecipeRuns | None = None


def lane_count() -> int:
    """Return how many trainings run side by side here."""
    return min(_MOST_LANES, len(os.sched_getaffinity(0)))


def made_side_by_side(model: TrainedModel, folder: Path, jobs: Sequence[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yield each variant and seed with what ``RecipeRuns.make`` returned, as they end.

    A variant that goes on from what another one kept waits for that. Ctrl-C ends the trainings; each goes on in the
    epoch where it was.

    Raises:
        BlockError: a recipe cannot be run; the trainings that had begun are finished first.
    """
    if not jobs:
        return
    lanes = lane_count()
    waiting, running = list(jobs), dict[Future[dict[str, Any]], Job]()
    with ProcessPoolExecutor(
        lanes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(model, folder, max(1, len(os.sched_getaffinity(0)) // lanes)),
    ) as pool:
        while waiting or running:
            for job in ready(waiting, list(running.values()))[: lanes - len(running)]:
                waiting.remove(job)
                running[pool.submit(_make, *job)] = job
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for one in ended:
                yield running.pop(one), one.result()


def ready(waiting: Sequence[Job], running: Sequence[Job]) -> list[Job]:
    """Return which jobs can begin: those that go on from nothing that is still to be made."""
    unmade = {(variant.name, seed) for variant, seed in (*waiting, *running)}
    return [(variant, seed) for variant, seed in waiting if (variant.after, seed) not in unmade]


def _begin(model: TrainedModel, folder: Path, thread_count: int) -> None:
    global _runs  # noqa: PLW0603 - what a process of the pool has is its own
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    # Before torch is loaded; `RecipeRuns` gives it this many.
    os.environ["OMP_NUM_THREADS"] = str(thread_count)
    _runs = RecipeRuns(model, folder)


def _end_with_the_parent() -> None:
    """End this process when the one that began it is gone: nobody takes what it makes, and it keeps a core busy."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a process of the pool has one"
    connection.wait([parent.sentinel])
    os._exit(1)


def _make(variant: Variant, seed: int) -> dict[str, Any]:
    assert _runs is not None, "the pool began with _begin"
    try:
        return _runs.make(variant, seed)
    except SteelyardError as error:
        raise BlockError(f"{variant.name}, seed {seed}: {error}") from error
