"""Run a chain over a task once, and make a task of its own for each part from what it was fed with."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from steelyard.compress.contract import Progress
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.parts.capture import CapturedCalls, draw_calls, shapes_of
from steelyard.compress.parts.chain import Arrays, Chain
from steelyard.compress.parts.parts_file import PartsFile
from steelyard.tasks.metrics.host_reduction import HostReduction
from steelyard.tasks.task import LoadedTask, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How many calls of each part are kept at most, and the seed that they are drawn with."""

    calibration: int = 512
    evaluation: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse to keep none."""
        if self.calibration < 1 or self.evaluation < 1:
            raise CompressionInputError(
                "invalid_parts", f"{self.calibration} and {self.evaluation} calls are to be kept; keep one at least"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask:
    """The task file of a part, with how many calls it holds and how many there were of other shapes."""

    path: Path
    calibration_count: int
    evaluation_count: int
    other_shape_count: int


def run_chain(
    chain: Chain,
    task: LoadedTask,
    split: Split,
    *,
    progress: Progress,
    captured: Mapping[str, CapturedCalls] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the answers to every sample as the task's metric reads them; ``captured`` keeps calls by part.

    Raises:
        CompressionError, CompressionInputError: the chain cannot be run.
        TaskError: answers that the metric does not fit.
    """
    reduction = HostReduction(task.metric.reduction)
    for number, sample in enumerate(_samples(task, split)):

        def keep(part: str, step: int, feed: Arrays, made: Arrays, number: int = number) -> None:
            if captured is not None:
                captured[part].add(number, step, feed)

        reduction.add(chain.answer(sample, keep), 1)
        progress("running the parts", number + 1, split.sample_count)
    return reduction.arrays()


def make_part_tasks(
    chain: Chain,
    file: PartsFile,
    task: LoadedTask,
    folder: Path,
    *,
    out_dir: Path,
    limits: CallLimits,
    progress: Progress,
) -> tuple[dict[str, PartTask], dict[str, NDArray[Any]]]:
    """Run the parts as they are over both splits; return each part's task, and the answers to the evaluation samples.

    Calls are collected in ``folder``; ``PART.toml`` and ``PART.npz`` are written into ``out_dir``, made when missing.

    Raises:
        CompressionError, CompressionInputError: no calibration split, or the chain cannot be run.
    """
    if task.calibration is None:
        raise CompressionInputError(
            "no_calibration_data",
            f"{task.source} has no calibration split; parts are calibrated by what it feeds them with",
        )
    shapes = _shapes(chain, next(_samples(task, task.evaluation)))

    def captures(what: str, split: Split, most: int, before: Mapping[str, CapturedCalls]) -> dict[str, CapturedCalls]:
        found = {}
        for index, part in enumerate(file.parts):
            drawn = draw_calls(shapes[part.name], sample_count=split.sample_count, most=most, seed=limits.seed + index)
            known = before[part.name].digests if part.name in before else ()
            found[part.name] = CapturedCalls(folder / what / str(index), drawn, elsewhere=known)
        return found

    evaluation = captures("evaluation", task.evaluation, limits.evaluation, {})
    answers = run_chain(chain, task, task.evaluation, progress=progress, captured=evaluation)
    calibration = captures("calibration", task.calibration, limits.calibration, evaluation)
    run_chain(chain, task, task.calibration, progress=progress, captured=calibration)
    tasks = {}
    out_dir.mkdir(parents=True, exist_ok=True)
    for part in file.parts:
        both = {"evaluation": evaluation[part.name], "calibration": calibration[part.name]}
        tasks[part.name] = _write_task(out_dir, f"{file.name} {part.name}", part.name, task, both)
    return tasks, answers


def _samples(task: LoadedTask, split: Split) -> Iterator[Arrays]:
    for index in range(split.sample_count):
        one = Split(inputs={name: array[index : index + 1] for name, array in split.inputs.items()})
        yield dict(task.model_inputs(one))


def _shapes(chain: Chain, sample: Arrays) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    chain.answer(sample, lambda part, step, feed, made: found.setdefault(part, []).append(shapes_of(feed)))
    return found


def _write_task(
    folder: Path, name: str, part: str, whole: LoadedTask, captured: Mapping[str, CapturedCalls]
) -> PartTask:
    data = folder / f"{part}.npz"
    lines = [f"name = {json.dumps(name)}", f"data = {json.dumps(data.name)}", "whole = true"]
    lines += [f"licence = {json.dumps(whole.licence)}"] if whole.licence else []
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for split, calls in captured.items():
            names = calls.write_to(archive, split)
            listed = ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in names.items())
            lines += [f"[{split}]", f"inputs = {{ {listed} }}"]
    path = folder / f"{part}.toml"
    path.write_text("\n".join([*lines, "[metric]", 'kind = "sqnr"', ""]), encoding="utf-8")
    return PartTask(
        path=path,
        calibration_count=len(captured["calibration"].digests),
        evaluation_count=len(captured["evaluation"].digests),
        other_shape_count=captured["evaluation"].drawn.other_shape_count,
    )
