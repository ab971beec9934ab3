"""Distillation: a student of at most a fifth of the parameters, taught, beside the same student without a teacher."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from benchmarks.results_file import ResultsFile, Run
from benchmarks.table import Table
from benchmarks.training.lines import Line, runs_together, train
from benchmarks.training.recipe_runs import ORIGINAL, Variant
from benchmarks.training.trained_rounds import (
    HEAD,
    POINTS,
    Rounds,
    row,
    seed_gain_points,
    time_verdict,
    trained,
    variants,
    verdict,
)
from benchmarks.training.training_tasks import fashion_model
from benchmarks.training.tuned_minilm import NAME as MINILM
from benchmarks.training.tuned_minilm import RECIPE as TUNING
from benchmarks.training.tuned_minilm import tuned_tweets_model, tuning_rounds

NAME = "distillation"
PHASES = ("train",)
# Seeds.
ROUND_COUNT = 5
MOST_PARAMETERS = 0.2
_IMAGE = "fashion_resnet"
# The student of both is the same: the channels of the largest weights of every layer.
_STUDENTS = {
    _IMAGE: "width,width=0.375,epochs=10,learning_rate=0.003,precision=bfloat16",
    MINILM: "width,width=0.25,epochs=6,learning_rate=0.001,batch_size=32,keep_epoch=last,precision=bfloat16",
}
_TAUGHT = "teachers=parent,label_weight=0.3,hints=auto"
ALONE, TAUGHT = "labels alone", "taught"


def line(model: str) -> Line:
    """Return what is trained of one model."""
    student = _STUDENTS[model]
    made = [Variant(name=ALONE, recipe=student), Variant(name=TAUGHT, recipe=f"{student},{_TAUGHT}")]
    found = fashion_model(model) if model == _IMAGE else tuned_tweets_model()
    return Line(name=f"{NAME}_{model}", model=found, variants=made)


FILES = tuple(f"{NAME}_{model}" for model in _STUDENTS)


async def measure(round_count: int, *, phases: Sequence[str] = PHASES) -> None:
    """Train ``round_count`` seeds of each student."""
    if "train" in phases:
        for model in _STUDENTS:
            await asyncio.to_thread(train, line(model), round_count)


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    runs = {model: run for model in _STUDENTS if (run := ResultsFile(f"{NAME}_{model}").latest()) is not None}
    if not runs:
        return None
    together = runs_together(list(runs.values()))
    return Table(
        title="Distillation: students of a fifth of the parameters",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Image: the Fashion-MNIST ResNet, "
            f"{_count(runs, _IMAGE)} training images, scored on 9,000 test images. Text: MiniLM, "
            f"which learnt the tweets first (`{TUNING}`), {_count(runs, MINILM)} tweets, scored on 800 others. The "
            "student begins with the channels of the largest weights of the teacher in both; one learns from labels "
            "alone, the other from the same labels, what the teacher answers and its features, for as many "
            f"epochs of the same samples in the same order. {_recipes(runs)} "
            "The interval of a gain is over seeds."
        ),
        run=together,
        head=["model", *HEAD],
        rows=[[model, *row(run.rounds, one, ())] for model, run in runs.items() for one in variants(run.rounds)],
        verdicts=[
            *(text for model, run in runs.items() for text in verdicts(model, run.rounds)),
            time_verdict(
                [tuning_rounds(), *(run.rounds for run in runs.values())], together.machine, seed_count=ROUND_COUNT
            ),
        ],
    )


def verdicts(model: str, rounds: Rounds) -> list[str]:
    """Return whether a student gains by its teacher, and whether it is small enough."""
    students = trained(rounds, TAUGHT).values()
    whole = trained(rounds, ORIGINAL).get(0, {}).get("parameters")
    share = max((one["parameters"] / whole for one in students), default=None) if whole else None
    size = "" if share is None else f" ({share:.1%} of the parameters)"
    return [
        verdict(
            f"{model}{size}",
            "a gain above 0, 5 seeds paired",
            seed_gain_points(rounds, ALONE, TAUGHT) if share is not None and share <= MOST_PARAMETERS else None,
            least=0.0,
            most=float("inf"),
            unit=POINTS,
        )
    ]


def _count(runs: Mapping[str, Run], model: str) -> str:
    return f"{runs[model].settings['training_count']:,}" if model in runs else "no"


def _recipes(runs: Mapping[str, Run]) -> str:
    return " ".join(f"{model}: `{_STUDENTS[model]},{_TAUGHT}`." for model in runs)
