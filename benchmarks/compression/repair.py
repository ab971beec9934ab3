"""Models that int8 with a scale a tensor breaks, and what each repair brings back: accuracy, and the time it takes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.bench_models import BenchModel, bench_models
from benchmarks.compression.imbalance import plant
from benchmarks.compression.kernels import kernels_of
from benchmarks.compression.made_files import Prepared, prepare
from benchmarks.compression.repair_cases import CASES, RECIPES, SEED, RepairCase
from benchmarks.figures import Figure, Standing, standing, verdict_text
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.compress.messages import ScoringFiles
from steelyard.stats.accuracy import paired_drop

NAME = "repair"
ROUND_COUNT = 1
MOST_DROP_PP = 1.0
MOST_FLOAT_SHARE = 0.2
SETTINGS: dict[str, Any] = {"seed": SEED, "cases": [one.name for one in CASES], "recipes": RECIPES}


async def measure(round_count: int) -> None:
    """Repair each case whose model is here until ``round_count`` rounds of it are in the results file."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    for case in CASES:
        for model in bench_models(case.model):
            done = sum(one["case"] == case.name for one in results.rounds(key))
            for number in range(done, round_count):
                say(f"{NAME}: {case.name}, round {number + 1} of {round_count}")
                results.append(key, await _repaired(case, model))
    say("")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """A case in files: the model, its samples, and what the float model answers."""

    path: Path
    prepared: Prepared
    validation: ScoringFiles
    correct: NDArray[np.bool_]


async def _repaired(case: RepairCase, model: BenchModel) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        broken = await asyncio.to_thread(_broken, case, model, Path(work))
        recipes = {name: await _made(text, broken, Path(work) / "out") for name, text in RECIPES.items()}
        return {
            "case": case.name,
            "planted_layers": case.planted_layers,
            "samples": int(broken.correct.size),
            "calibration_samples": broken.prepared.calibration_count,
            "validation_samples": model.validation_count,
            "float_correct": int(broken.correct.sum()),
            "float_difference": await asyncio.to_thread(_float_difference, model.model, broken),
            "recipes": recipes,
        }


def _broken(case: RepairCase, model: BenchModel, work: Path) -> _Broken:
    path = plant(model.model, work / "planted.onnx", case.seams, ratio=case.ratio, seed=SEED)
    prepared = prepare(path, model.task, work)
    return _Broken(
        path=path,
        prepared=prepared,
        validation=_validation(path, model.task, work),
        correct=_correct(prepared, path),
    )


def _validation(model_path: Path, task_path: Path, work: Path) -> ScoringFiles:
    """Write the samples that fallback chooses by."""
    from steelyard.artifacts import read_artifact
    from steelyard.tasks.checks import check_fits
    from steelyard.tasks.load import load_task
    from steelyard.tasks.materialise import materialise

    task = load_task(task_path)
    split = materialise(task, check_fits(task, read_artifact(model_path, work_dir=work).signature)).validation
    if split is None or split.truth is None:
        raise ValueError(f"{task_path} has no validation samples to choose by; prepare it anew")
    inputs, truth = work / "validation.npz", work / "validation-truth.npz"
    inputs.write_bytes(split.inputs)
    truth.write_bytes(split.truth)
    return ScoringFiles(split="validation", inputs_path=str(inputs), metric=task.metric.kind, truth_path=str(truth))


def _correct(prepared: Prepared, path: Path) -> NDArray[np.bool_]:
    from steelyard.tasks.metrics.contract import BinaryAnswers

    answers = prepared.evaluator.answers(path)
    assert isinstance(answers, BinaryAnswers)
    return np.asarray(answers.correct)


async def _made(text: str, broken: _Broken, out: Path) -> dict[str, Any]:
    """Make one recipe's file in a process of its own, and return what it answers and took."""
    from steelyard.compress.process import compress_in_process
    from steelyard.compress.recipe_text import load_recipe

    made = await compress_in_process(
        broken.path,
        load_recipe(text),
        calibration_path=broken.prepared.packed,
        seed=SEED,
        processor_features=(),
        out_dir=out,
        chosen_by=broken.validation,
    )
    correct = await asyncio.to_thread(_correct, broken.prepared, made.path)
    drop = paired_drop(broken.correct, correct)
    kernels = await asyncio.to_thread(kernels_of, made.path)
    return {
        "correct": int(correct.sum()),
        "drop_pp": [drop.value, drop.low, drop.high],
        "step_s": {step.kind: step.duration_s for step in made.lineage.steps},
        "layers": kernels.integer + kernels.in_float,
        "layers_in_float": kernels.in_float,
        "notes": list(made.notes),
    }


def _float_difference(original: Path, broken: _Broken) -> float:
    """Return the largest difference that the imbalance makes to the float outputs, as a share of the largest output."""
    from steelyard.compress.calibration import open_calibration
    from steelyard.compress.sessions import open_session, run_bounded

    data = open_calibration(broken.prepared.packed)
    before, after = open_session(original), open_session(broken.path)
    differences = []
    for at in range(min(64, data.sample_count)):
        feed = data.feed(at, at + 1)
        expected, given = run_bounded(before, feed)[0], run_bounded(after, feed)[0]
        differences.append(float(np.abs(expected - given).max() / np.abs(expected).max()))
    return max(differences)


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    cases = {one["case"]: [other for other in run.rounds if other["case"] == one["case"]] for one in run.rounds}
    return Table(
        title="Models that int8 breaks, and what each repair brings back",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "`static-int8` with one scale a tensor. Planted imbalances scale the channels between layers by "
            "log-uniform factors, of which the largest is so many times the smallest, and the next layers undo them: "
            "the float model answers the same (its outputs differ by at most "
            f"{max(one['float_difference'] for one in run.rounds):.0e} of the largest). Calibration, evaluation and "
            "validation samples are disjoint; fallback chooses by the last, with its default bound. Drops against the "
            "float model are paired by sample, in percentage points with 95 % intervals. Layers in float as "
            "onnxruntime runs them. The time is that of the last step, in a process of its own; a round is one model, "
            "and of several rounds of it times are medians."
        ),
        run=run,
        head=["model", "recipe", "correct", "drop, pp (95 %)", "in float", "last step"],
        rows=[row for rounds in cases.values() for row in _rows(rounds)],
        verdicts=[text for rounds in cases.values() for text in verdicts(rounds[-1])],
    )


def _rows(rounds: Sequence[dict[str, Any]]) -> list[list[str]]:
    last = rounds[-1]
    found = [[last["case"], "float", f"{last['float_correct']} of {last['samples']}", "", "all", ""]]
    for name, one in last["recipes"].items():
        step = list(one["step_s"])[-1]
        seconds = float(np.median([other["recipes"][name]["step_s"][step] for other in rounds]))
        in_float = f"{one['layers_in_float']} of {one['layers']}"
        found.append(["", name, str(one["correct"]), _drop(one).text(2), in_float, f"{seconds:.1f} s"])
    return found


def verdicts(found: dict[str, Any]) -> list[str]:
    """Return what a round says: which repairs bring a broken model back, and what fallback leaves in float."""
    recipes = found["recipes"]
    plain = _drop(recipes["int8"])
    if standing(plain, least=-np.inf, most=MOST_DROP_PP) is Standing.MET:
        return [f"{found['case']}: int8 does not break it ({plain.text(2)} pp)."]
    repairs = {name: one for name, one in recipes.items() if name not in {"int8", "fallback alone"}}
    best = min(repairs, key=lambda name: _drop(repairs[name]).value)
    stands = {name: standing(_drop(one), least=-np.inf, most=MOST_DROP_PP) for name, one in repairs.items()}
    able = [name for name, one in stands.items() if one is Standing.MET]
    target = f"a repair brings it back to within {MOST_DROP_PP:g} point"
    measured = f"{plain.text(2)} pp lost as it is, {_drop(repairs[best]).text(2)} pp with {best}"
    within = f" Within it: {'; '.join(able)}." if able else ""
    fallback = recipes["fallback alone"]
    share = fallback["layers_in_float"] / fallback["layers"]
    fallen = standing(_drop(fallback), least=-np.inf, most=MOST_DROP_PP)
    if share >= MOST_FLOAT_SHARE:
        fallen = Standing.MISSED
    return [
        verdict_text(found["case"], target, stands[best], measured) + within,
        verdict_text(
            f"{found['case']}, fallback",
            f"within {MOST_DROP_PP:g} point with fewer than a fifth of the layers in float",
            fallen,
            f"{_drop(fallback).text(2)} pp with {fallback['layers_in_float']} of {fallback['layers']}, where the "
            f"imbalance is in {found['planted_layers']}",
        ),
    ]


def _drop(one: dict[str, Any]) -> Figure:
    value, low, high = one["drop_pp"]
    return Figure(value=value, low=low, high=high)
