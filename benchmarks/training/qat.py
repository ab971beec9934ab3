"""Quantization-aware training beside static int8 of the same model, and beside torchao's stock quantizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.compression.kernels import Kernels
from benchmarks.figures import Standing, verdict_text
from benchmarks.results_file import ResultsFile, Run
from benchmarks.table import Table
from benchmarks.training.lines import PHASES as _PHASES
from benchmarks.training.lines import Line, runs_together, train_and_time
from benchmarks.training.recipe_runs import ORIGINAL, Variant
from benchmarks.training.torchao_peer import train_with_torchao
from benchmarks.training.trained_rounds import (
    HEAD,
    Rounds,
    loss_points,
    no_worse_verdict,
    row,
    speedup,
    time_verdict,
    trained,
    variants,
    verdict,
)
from benchmarks.training.training_tasks import SHARED, fashion_model, shared_model

NAME = "qat"
PHASES = _PHASES
# Seeds.
ROUND_COUNT = 2
SPEED_TOLERANCE = 0.03
MODELS = ("fashion_resnet", "fashion_mobilenet", *SHARED)
STATIC, QAT, TORCHAO = "static int8", "qat", "torchao"
_EPOCHS, _BATCH_SIZE, _RATE = 3, 64, 5e-5
_RECIPES = {STATIC: "static-int8", QAT: f"qat,teachers=parent,label_weight=0,epochs={_EPOCHS}"}
FILES = tuple(f"{NAME}_{model}" for model in MODELS)


def line(model: str) -> Line:
    """Return what is trained and timed of one model."""
    peer = partial(train_with_torchao, epochs=_EPOCHS, learning_rate=_RATE, batch_size=_BATCH_SIZE)
    made = [Variant(name=name, recipe=recipe) for name, recipe in _RECIPES.items()]
    made.append(Variant(name=TORCHAO, recipe=f"X86InductorQuantizer, {_EPOCHS} epochs at {_RATE:g}", peer=peer))
    found = shared_model(model) if model in SHARED else fashion_model(model)
    return Line(name=f"{NAME}_{model}", model=found, variants=made, timed=[one.name for one in made])


async def measure(round_count: int, *, phases: Sequence[str] = PHASES) -> None:
    """Train ``round_count`` seeds of each variant, then time the files of the first."""
    for model in MODELS:
        await train_and_time(line(model), round_count, phases)


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    runs = {model: run for model in MODELS if (run := ResultsFile(f"{NAME}_{model}").latest()) is not None}
    if not runs:
        return None
    together = runs_together(list(runs.values()))
    return Table(
        title="Quantization-aware training",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"Samples: {_counts(runs)}. Those of fashion are training and test images of Fashion-MNIST; windows of "
            "speech are told by their class, and learnt from at 0 and at -5 dB. qat: "
            f"`{_RECIPES[QAT]}`; static int8: `{_RECIPES[STATIC]}`, calibrated on samples of their own. torchao: "
            f"prepare_qat_pt2e and convert_pt2e with its X86InductorQuantizer, {_EPOCHS} epochs of the same samples on "
            "labels, written by torch.onnx.export. Layers in 8 bits: operators that multiply, once onnxruntime has "
            "optimized the file, of all that multiply, and conversions that are left. Speeds: `steelyard measure` on "
            "the device `local`, one session a model, interleaved, one thread, files of the first seed."
        ),
        run=together,
        head=["model", *HEAD, "speed-up", "layers in 8 bits"],
        rows=[
            [model, *row(run.rounds, one), _kernels(run.rounds, one).text()]
            for model, run in runs.items()
            for one in variants(run.rounds)
        ],
        verdicts=[
            *(text for model, run in runs.items() for text in verdicts(model, run.rounds)),
            time_verdict([run.rounds for run in runs.values()], together.machine, seed_count=ROUND_COUNT),
        ],
    )


def verdicts(model: str, rounds: Rounds) -> list[str]:
    """Return one sentence a target of one model."""
    kernels = _kernels(rounds, QAT)
    stands = Standing.MET if kernels.integer and not kernels.in_float else Standing.MISSED
    within = f"within {SPEED_TOLERANCE:.0%} of static int8's"
    return [
        verdict_text(f"{model}, fused", "every layer that multiplies runs in 8 bits", stands, kernels.text()),
        verdict(
            f"{model}, speed",
            within,
            speedup(rounds, STATIC, QAT),
            least=1 - SPEED_TOLERANCE,
            most=1 + SPEED_TOLERANCE,
        ),
        no_worse_verdict(
            f"{model}, accuracy", "no worse than static int8 by the paired interval", loss_points(rounds, STATIC, QAT)
        ),
    ]


def _counts(runs: Mapping[str, Run]) -> str:
    """Say what each model learns from, and what it is scored on."""
    return "; ".join(
        f"{model} learns from {run.settings['training_count']:,}, "
        f"scored on {trained(run.rounds, ORIGINAL)[0]['count']:,}"
        for model, run in runs.items()
    )


def _kernels(rounds: Rounds, variant: str) -> Kernels:
    found = trained(rounds, variant)
    if not found:
        return Kernels(integer=0, in_float=0, conversions=0)
    return Kernels(**next(iter(found.values()))["kernels"])
