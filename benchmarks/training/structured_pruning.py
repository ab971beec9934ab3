"""Structured pruning of the Fashion-MNIST ResNet: at 2 and 4 times fewer multiply-accumulates, beside others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.figures import Standing, verdict_text
from benchmarks.results_file import ResultsFile, Run
from benchmarks.table import Table
from benchmarks.training.lines import PHASES as _PHASES
from benchmarks.training.lines import Line, file_digest, time_files, train_and_time
from benchmarks.training.plain_pruning import prune_plainly
from benchmarks.training.recipe_runs import ORIGINAL, Variant
from benchmarks.training.tflite_files import write_tflite
from benchmarks.training.trained_rounds import (
    HEAD,
    POINTS,
    Rounds,
    above,
    loss_points,
    no_worse_verdict,
    row,
    speedup,
    time_verdict,
    variants,
    verdict,
)
from benchmarks.training.training_tasks import fashion_model, is_full

NAME = "structured_pruning"
PHASES = _PHASES
LITERT = "litert"
# Other samples are worth more than the same ones again: few passes over all there are, also in the quick configuration.
_QUICK_COUNT = 60_000
# Seeds.
ROUND_COUNT = 1
MOST_LOSS_AT_4X = 1.0
# As many passes over the samples at the same rate for all of one size; what loses more learns longer.
_OURS = (
    "prune,amount={share},least=0.4,teachers=parent,label_weight=0.3,hints=auto,learning_rate=0.002,"
    "rounds=3,round_epochs=1,epochs={epochs},keep_epoch=last,precision=bfloat16"
)
_PEER = "fine-tune,learning_rate=0.002,epochs={epochs},keep_epoch=last,precision=bfloat16"
_SHARES, _EPOCHS = {"2x": 0.5, "4x": 0.25}, {"2x": 6, "4x": 8}
# Long training makes up for a bad choice of channels; behind one epoch the choice shows.
_SHORT = (
    "prune,amount=0.25,least=0.4,teachers=parent,label_weight=0.3,hints=auto,learning_rate=0.002,"
    "epochs=1,keep_epoch=last,precision=bfloat16"
)
_CONTROLS = {"4x random": "4x steelyard", "4x random, one epoch": "4x one epoch"}


def line() -> Line:
    """Return what is trained and timed."""
    # The longest first: side by side, they end together.
    made = [Variant(name=f"{times} steelyard", recipe=_ours(times)) for times in reversed(_SHARES)]
    for times, share in _SHARES.items():
        start = partial(prune_plainly, share=share)
        made.append(Variant(name=f"{times} torch-pruning", recipe=_peer(times), start=start))
    # The control where most is taken out; that of the long training takes as long as ours.
    whole, brief = _CONTROLS
    made += [
        Variant(name=_CONTROLS[brief], recipe=_SHORT),
        Variant(name=brief, recipe=f"{_SHORT},importance=random"),
    ]
    if is_full():
        made.append(Variant(name=whole, recipe=f"{_ours('4x')},importance=random"))
    return Line(
        name=NAME,
        model=fashion_model("fashion_resnet", quick_count=_QUICK_COUNT),
        variants=made,
        timed=[f"{times} {whose}" for times in _SHARES for whose in ("steelyard", "torch-pruning")],
    )


def _ours(times: str) -> str:
    """Return the recipe that leaves a share; the epochs between its rounds are part of all epochs."""
    return _OURS.format(share=_SHARES[times], epochs=_EPOCHS[times] - 2)


def _peer(times: str) -> str:
    return _PEER.format(epochs=_EPOCHS[times])


async def measure(round_count: int, *, phases: Sequence[str] = PHASES) -> None:
    """Train ``round_count`` seeds of each variant, then time the files of the first."""
    one = line()
    await train_and_time(one, round_count, phases)
    if "time" in phases:
        await asyncio.to_thread(time_files, one, runtime=LITERT, written=partial(_as_tflite, one.folder))


def _as_tflite(folder: Path, sources: dict[str, Path]) -> dict[str, Path]:
    """Write the TFLite files of ONNX models, named by the content of those."""
    files = {name: folder / f"{file_digest(path)}.tflite" for name, path in sources.items()}
    write_tflite({sources[name]: file for name, file in files.items()})
    return files


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    rounds = run.rounds
    return Table(
        title="Structured pruning of the Fashion-MNIST ResNet",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"Learnt from {run.settings['training_count']:,} training images, the last epoch kept, "
            f"scored on 9,000 test images. steelyard: `{_ours('4x')}`, and `{_ours('2x')}`. One epoch: "
            f"`{_SHORT}`; random: the same with `importance=random`. torch-pruning: its MagnitudePruner in one shot, "
            f"one ratio for all layers, then `{_peer('4x')}` ({_EPOCHS['2x']} at 2x): as many epochs by the same loop, "
            "without a teacher. 4x learns longer since six epochs had left its target undecided, by the same "
            "evaluation images. Losses are paired by sample, each with its mean over the seeds. Speeds: `steelyard "
            "measure` on the device `local`, one session, interleaved, one thread, files of the first seed."
        ),
        run=run,
        head=[*HEAD, "ONNX Runtime", "LiteRT"],
        rows=[row(rounds, one, ("onnxruntime", LITERT)) for one in variants(rounds)],
        verdicts=verdicts(run),
    )


def verdicts(run: Run) -> list[str]:
    """Return one sentence a target."""
    rounds: Rounds = run.rounds
    at_4x = loss_points(rounds, ORIGINAL, "4x steelyard")
    found = [
        no_worse_verdict("2x fewer MACs", "no loss beyond the interval", loss_points(rounds, ORIGINAL, "2x steelyard")),
        verdict(
            "4x fewer MACs",
            "a loss below 1 point",
            at_4x,
            least=float("-inf"),
            most=MOST_LOSS_AT_4X,
            unit=POINTS,
        ),
    ]
    found += [_speeds(rounds, times) for times in _SHARES]
    others = ("4x random, one epoch", "2x torch-pruning", "4x torch-pruning", "4x random")
    found += [_beside(rounds, name) for name in others if name in variants(rounds) or name != "4x random"]
    return [*found, time_verdict([rounds], run.machine, seed_count=ROUND_COUNT)]


def _beside(rounds: Rounds, other: str) -> str:
    """Return how much worse another way is than ours, at the same share of multiply-accumulates."""
    ours = _CONTROLS.get(other, f"{other.partition(' ')[0]} steelyard")
    figure = loss_points(rounds, ours, other)
    target = "worse than ours" if other in _CONTROLS else "no better than ours"
    if figure is None:
        return verdict_text(other, target, Standing.UNDECIDED, "nothing yet")
    stands = above(figure, 0.0)
    if other not in _CONTROLS and stands is not Standing.MISSED:
        stands = Standing.MET
    return verdict_text(other, target, stands, f"{figure.text(2, POINTS)} worse")


def _speeds(rounds: Rounds, times: str) -> str:
    """Return what the smaller product is worth in both runtimes."""
    found = {one: speedup(rounds, ORIGINAL, f"{times} steelyard", one) for one in ("onnxruntime", LITERT)}
    told = [f"{one} {'not timed' if each is None else each.text(2) + 'x'}" for one, each in found.items()]
    return f"Measured speed-up at {times} fewer MACs: {', '.join(told)}."
