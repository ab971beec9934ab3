"""Advice beside exhaustive measurement: every built-in recipe on every model, and what `advise` had said before."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.compression.advice_verdicts import (
    HEAD,
    LEAST_SHARE,
    LEAST_SQNR_DB,
    MOST_DROP_PP,
    NEAR,
    advised_sentence,
    changed_sentence,
    figures_of,
    rows,
    to_score,
    to_time,
    unfinished_sentence,
    unmade_sentence,
    warnings_sentence,
)
from benchmarks.compression.bench_models import BenchModel, bench_models, cache_folder
from benchmarks.compression.file_speeds import every_round, measured
from benchmarks.compression.made_files import prepare
from benchmarks.compression.paired_scores import ORIGINAL
from benchmarks.compression.same_kernels import form_of
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from benchmarks.whole_path import own_controller
from steelyard.advice.advising import advise
from steelyard.advice.contract import Advice
from steelyard.advice.messages import reduced_range
from steelyard.cli.advise_facts import earlier_times, situation_of
from steelyard.compress.built_in_recipes import builtin_recipes
from steelyard.control.client import Client
from steelyard.errors import SteelyardError
from steelyard.tasks.metrics.contract import Answers, Metric
from steelyard_protocol.v1 import control_pb2

NAME = "advice"
ROUND_COUNT = 6
WINDOW_MS = 200
# What `advise --run` tries when nothing else is said.
TOP = 3
RECIPE_LIMIT_S = 300.0
SETTINGS: dict[str, Any] = {"window_ms": WINDOW_MS, "top": TOP}


async def measure(round_count: int) -> None:
    """Advise, make, time and score what is not in the results file yet; ``round_count`` are interleaved rounds."""
    models = bench_models()
    for model in models:
        await asyncio.to_thread(make_all, model)
    for model in models:
        await asyncio.to_thread(time_all, model, round_count)
    for model in models:
        await asyncio.to_thread(score_fastest, model)


def make_all(model: BenchModel) -> None:
    """Ask for advice on a model, and make every variant that a built-in recipe, advice or a warning speaks of.

    What was made before is kept; advice is recorded again where its rules now say something else.
    """
    recorded = _recorded(model, "made")
    with own_controller() as client:
        artifact = client.add_model(model.model)
        task = client.add_task(model.task, artifact)
        advice = _advice(client, artifact, task, _open_sizes(model))
        told = _told(advice)
        before = _recorded(model, "advised") or recorded
        if before is None or any(before.get(name) != told[name] for name in told):
            _keep(model, {"kind": "advised", **told})
        if recorded is not None and set(_recipes(advice)) <= set(recorded["made"]):
            return
        made: dict[str, dict[str, Any]] = {}
        for recipe in _recipes(advice):
            say(f"{NAME}: {model.name}, {recipe}")
            made[recipe] = _made(client, artifact, task, recipe, _folder(model))
    _keep(model, {"kind": "made", "about": model.about, "made": made})


def _told(advice: Advice) -> dict[str, Any]:
    """Return what is recorded of advice: what comes first, the recipes that `--run` takes, and what warnings claim."""
    return {
        "keeps_model": advice.keeps_model,
        "advised": [one.recipe for one in advice.to_try(TOP)],
        "warnings": [
            {
                "id": one.id,
                "claims": [[claim.recipe, claim.figure, claim.low, min(claim.high, 1e9)] for claim in one.claims],
            }
            for one in advice.warnings
        ],
    }


def _open_sizes(model: BenchModel) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of inputs with open sizes, as a user would say them with `--shape`."""
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        return prepare(model.model, model.task, Path(work)).input_shapes


def _advice(
    client: Client, artifact: control_pb2.Artifact, task: control_pb2.Task, sizes: Mapping[str, tuple[int, ...]]
) -> Advice:
    flags = {"shapes": tuple(sizes.items()), "runtime": "", "providers": ()}
    device = client.device("local")
    return advise(situation_of(client, artifact, device, task=task, flags=flags, find_times=earlier_times))


def _recipes(advice: Advice) -> list[str]:
    """Return the built-in recipes that need no training, and in one word what else advice and warnings are about."""
    spoken_of = [one.recipe for one in advice.recipes]
    spoken_of += [claim.recipe for warning in advice.warnings for claim in warning.claims]
    return list(dict.fromkeys([*(one.name for one in builtin_recipes() if not one.needs_training), *spoken_of]))


def _made(
    client: Client, artifact: control_pb2.Artifact, task: control_pb2.Task, recipe: str, folder: Path
) -> dict[str, Any]:
    begun_s = time.monotonic()
    try:
        job = client.compress(artifact, recipe, task=task, device="local", evaluate=False)
        timer = threading.Timer(RECIPE_LIMIT_S, job.cancel)
        timer.start()
        try:
            job.wait()
        finally:
            timer.cancel()
        variant = job.variant()
    except SteelyardError as error:
        late = time.monotonic() - begun_s >= RECIPE_LIMIT_S
        return {"failed": f"given up after {RECIPE_LIMIT_S:.0f} s" if late else str(error)}
    path = folder / f"{variant.digest[:16]}{_suffix(artifact)}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(client.download(variant.digest))
    return {
        "file": path.name,
        "size_ratio": variant.size_bytes / artifact.size_bytes,
        "reduce_range": reduced_range(variant.lineage),
        "seconds": round(time.monotonic() - begun_s, 1),
        "steps": [one.kind for one in variant.lineage.steps],
    }


def _suffix(artifact: control_pb2.Artifact) -> str:
    from steelyard_protocol.v1 import common_pb2

    return ".tflite" if artifact.format == common_pb2.ARTIFACT_FORMAT_TFLITE else ".onnx"


def time_all(model: BenchModel, round_count: int) -> None:
    """Time the files of a model beside it, in one session; of those with the same kernels one stands for all."""
    made = _recorded(model, "made")
    if made is None:
        return
    names = {one["file"] for one in made["made"].values() if "file" in one}
    timed = _recorded(model, "timed")
    if timed is not None and set(timed["files"]) >= names:
        return
    (figures,) = figures_of([one for one in _rounds() if one["model"] == model.name])
    files = {ORIGINAL: model.model, **{Path(name).stem: _folder(model) / name for name in sorted(names)}}
    timed_by = to_time(figures, {stem: form_of(path) for stem, path in files.items()})
    chosen = {stem: files[stem] for stem in files if timed_by[stem] == stem}
    say(f"{NAME}: {model.name}, {len(chosen)} files timed")
    session = measured(chosen, input_shapes=_open_sizes(model), round_count=round_count, window_ms=WINDOW_MS)
    found = every_round(session)
    whole = {stem: found[one] for stem, one in timed_by.items() if one in found}
    others = {stem: one for stem, one in timed_by.items() if one != stem}
    _keep(model, {"kind": "timed", "files": sorted(names), "median_ns": whole, "timed_by": others})


def score_fastest(model: BenchModel) -> None:
    """Score files from the fastest on until one is within the bound, and those that were advised."""
    (figures,) = figures_of([one for one in _rounds() if one["model"] == model.name]) or (None,)
    if figures is None or figures.median_ns is None:
        return
    losses = dict(figures.losses or {})
    if figures.losses is not None and to_score(figures, losses) is None:
        return
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        prepared = prepare(model.model, model.task, Path(work))
        metric = prepared.metric
        original = prepared.evaluator.answers(prepared.model_path)
        unscored: dict[str, str] = {}
        while (stem := to_score(figures, losses)) is not None:
            say(f"{NAME}: {model.name}, {stem} scored")
            try:
                answers = prepared.evaluator.answers(_folder(model) / f"{stem}{model.model.suffix}")
            except SteelyardError as error:
                losses[stem], unscored[stem] = None, str(error)
                continue
            losses[stem] = answers.value() if metric.needs_parent_outputs else _lost(metric, original, answers)
    _keep(
        model,
        {
            "kind": "scored",
            "metric": metric.kind,
            "against_parent": metric.needs_parent_outputs,
            "evaluation_count": original.sample_count,
            "losses": losses,
            "unscored": unscored,
        },
    )


def _lost(metric: Metric, original: Answers, answers: Answers) -> float | None:
    """Return what is lost, above 0 is worse; in percentage points for fractions."""
    before, after = original.value(), answers.value()
    if before is None or after is None:
        return None
    lost = before - after if metric.higher_is_better else after - before
    return 100 * lost if metric.unit == "fraction" else lost


def _folder(model: BenchModel) -> Path:
    return cache_folder() / NAME / model.name


def _rounds() -> list[dict[str, Any]]:
    return list(ResultsFile(NAME).rounds(this_key(SETTINGS)))


def _recorded(model: BenchModel, kind: str) -> dict[str, Any] | None:
    return next((one for one in reversed(_rounds()) if (one["kind"], one["model"]) == (kind, model.name)), None)


def _keep(model: BenchModel, record: dict[str, Any]) -> None:
    ResultsFile(NAME).append(this_key(SETTINGS), {"model": model.name, **record})
    say("")


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    found = figures_of(run.rounds)
    models = [one for one in found if one.is_whole]
    round_count = min((one.round_count for one in models), default=0)
    return Table(
        title="Advice beside exhaustive measurement",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "`steelyard advise` for the device `local`, then every built-in recipe and every recipe that advice or a "
            f"warning names: made, and timed beside the model in one session of {round_count} interleaved rounds, one "
            "thread; latencies are medians over rounds. Files that differ in weights and scales only run the same "
            "kernels, and one stands for all, but for what advice or a warning names. Best: the fastest file, the "
            "model itself among them, that loses no "
            f"more than {MOST_DROP_PP:g} pp of its metric (with no labels: outputs at {LEAST_SQNR_DB:g} dB or more), "
            "by the estimate. Advised: what advice names first, a recipe or the model as it is; of its first "
            f"{TOP}, which `--run` makes and measures, the best within the bound. Target: within {NEAR:.0%} of the "
            f"best one's latency in {LEAST_SHARE:.0%} of the models (exact binomial intervals), and no warning wrong. "
            "A claim of a warning is wrong when the whole 95 % interval lies outside of it. To advice a model is new, "
            "or its ranges were set by it after it had been measured, or it was at hand when the rules were written. "
            "Speeds of ONNX models are expected by costs of layers that were found in synthetic networks, in none of "
            "these models; that it is done this way was decided after 13 of them had been timed."
        ),
        run=run,
        head=HEAD,
        rows=rows(models),
        verdicts=[
            advised_sentence(models, top=1),
            advised_sentence(models, top=TOP),
            warnings_sentence(models),
            *changed_sentence(models, figures_of(run.rounds, as_first_advised=True)),
            *unfinished_sentence(found),
            *unmade_sentence(models),
        ],
    )
