"""Pruning to half of the latency, as measured on the device `local`, beside one ratio for all layers."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Standing, standing, verdict_text
from benchmarks.latency_block import BlockError
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, span_since, this_key
from benchmarks.table import Table
from benchmarks.training.lines import Line, train_and_time
from benchmarks.training.recipe_runs import ORIGINAL, Variant
from benchmarks.training.trained_rounds import (
    HEAD,
    POINTS,
    Rounds,
    above,
    loss_points,
    row,
    speedup,
    time_verdict,
    variants,
)
from benchmarks.training.training_tasks import TrainedModel, fashion_model
from benchmarks.whole_path import own_controller
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.measurement_request import StepMeasuring
from steelyard.control.plans import MeasurementOptions

NAME = "latency_target"
PHASES = ("find", "train", "time")
# Seeds.
ROUND_COUNT = 2
SHARE, TOLERANCE = 0.5, 0.05
OURS, UNIFORM = "steelyard", "one ratio"
_RULES = {OURS: "prune,round_to=16,latency_trades=20", UNIFORM: "prune,scope=layer"}
_TRAINING = "fine-tune,teachers=original,label_weight=0.3,hints=auto,learning_rate=0.002,epochs=8,precision=bfloat16"
_FIND_ROUND_COUNT, _BUDGET_S = 10, 60.0


def line() -> Line:
    """Return what is trained and timed, of the files that were found."""
    made = [Variant(name=name, recipe=_TRAINING, start=partial(_copy_found, name)) for name in _RULES]
    return Line(name=NAME, model=_model(), variants=made, timed=[one.name for one in made])


async def measure(round_count: int, *, phases: Sequence[str] = PHASES) -> None:
    """Find the widths on the device, train ``round_count`` seeds with them, then time the files of the first."""
    if "find" in phases:
        await asyncio.to_thread(find_widths)
    await train_and_time(line(), round_count, phases)


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    rounds = run.rounds
    return Table(
        title="Pruning to a latency of the device",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"The Fashion-MNIST ResNet to {SHARE}x of its latency on the device `local`. The widths are found there "
            f"by `{_RULES[OURS]},latency={SHARE}x` (with AVX-512 onnxruntime computes 16 channels at once), and by "
            f"`{_RULES[UNIFORM]}`, one ratio for all layers. Both are trained alike (`{_TRAINING}`) on "
            f"{run.settings['training_count']:,} training images and scored on 9,000 test images. The "
            "latencies in the verdicts are those of the trained files, in their own session: `steelyard measure`, "
            "interleaved, one thread."
        ),
        run=run,
        head=[*HEAD, "speed-up"],
        rows=[row(rounds, one) for one in variants(rounds)],
        verdicts=[*verdicts(rounds), time_verdict([rounds], run.machine, seed_count=ROUND_COUNT)],
    )


def verdicts(rounds: Rounds) -> list[str]:
    """Return whether the latency was hit, and whether the accuracy is above that of one ratio."""
    found = [_hit(rounds, name) for name in _RULES]
    gain = loss_points(rounds, OURS, UNIFORM)
    target = f"more accurate than {UNIFORM} at the latency"
    if gain is None:
        return [*found, verdict_text("accuracy", target, Standing.UNDECIDED, "nothing yet")]
    stands = above(gain, 0.0)
    return [*found, verdict_text("accuracy", target, stands, f"{UNIFORM} is {gain.text(2, POINTS)} worse")]


def _hit(rounds: Rounds, name: str) -> str:
    target = f"within {TOLERANCE:.0%} of {SHARE}x"
    share = speedup(rounds, name, ORIGINAL)
    if share is None:
        return verdict_text(f"{name}, latency", target, Standing.UNDECIDED, "nothing yet")
    stands = standing(share, least=SHARE * (1 - TOLERANCE), most=SHARE * (1 + TOLERANCE))
    return verdict_text(f"{name}, latency", target, stands, f"{share.text(3)}x")


def find_widths() -> None:
    """Let the controller find the widths of each way by candidates on its device; nothing is trained."""
    results, key = ResultsFile(NAME), _key()
    done = {(one["variant"], one["recipe"]) for one in results.rounds(key) if one["kind"] == "found"}
    for name, rule in _RULES.items():
        if (name, rule) not in done or not _found_file(name).is_file():
            say(f"{NAME}: {name}, candidates")
            begun_s, what = time.time(), {"kind": "found", "variant": name, "recipe": rule}
            results.append(key, {**what, "notes": _found(name, rule), **span_since(begun_s)})
    say("")


def _found_file(name: str) -> Path:
    return line().folder / f"{name.replace(' ', '_')}-found.onnx"


def _copy_found(name: str, original: Path, target: Path) -> None:
    """Write the model to train: what was found, in place of the original.

    Raises:
        BlockError: it was not found yet.
    """
    del original
    found = _found_file(name)
    if not found.is_file():
        raise BlockError(f"there is no {found}; run the phase find first")
    shutil.copyfile(found, target)


def _found(name: str, rule: str) -> list[str]:
    """Write the untrained file that the step finds, and return what it told."""
    options = MeasurementOptions(
        budget_s=_BUDGET_S,
        min_round_count=_FIND_ROUND_COUNT,
        max_round_count=_FIND_ROUND_COUNT,
        energy=EnergyOptions(round_count=0),
    )
    recipe = f"{rule},epochs=0,latency={SHARE}x,latency_tolerance={TOLERANCE}"
    with own_controller() as client:
        artifact = client.add_model(_model().model, name="original")
        measuring = StepMeasuring(device="local", options=options, each_step=False)
        job = client.compress(artifact, recipe, measuring=measuring)
        job.wait()
        done = client.job(job.job_id)
        content = client.download(done.variant_digest)
    file = _found_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    # What was begun from widths that were found before is none of this one.
    (file.parent / f"{name.replace(' ', '_')}-start.onnx").unlink(missing_ok=True)
    return list(done.steps[0].notes)


def _model() -> TrainedModel:
    return fashion_model("fashion_resnet")


def _key() -> dict[str, Any]:
    empty = Line(name=NAME, model=_model(), variants=())
    return this_key(empty.settings)
