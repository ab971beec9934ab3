"""Pruning to half of the latency, as measured on the device `local`, beside one ratio for all layers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import Standing, standing, verdict_text
from benchmarks.latency_block import BlockError
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from benchmarks.training.lines import Line, train_and_time
from benchmarks.training.recipe_runs import ORIGINAL, Variant
from benchmarks.training.trained_rounds import HEAD, POINTS, Rounds, above, loss_points, row, speedup, variants
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
_RULES = {OURS: "prune,least=0.4", UNIFORM: "prune,scope=layer"}
_TRAINING = "teachers=parent,label_weight=0.3,hints=auto,learning_rate=0.002,epochs=5"
_FIND_ROUND_COUNT, _BUDGET_S = 10, 60.0


def line(amounts: dict[str, float]) -> Line:
    """Return what is trained and timed, by the amounts that were found."""
    made = [Variant(name=name, recipe=f"{rule},amount={amounts[name]},{_TRAINING}") for name, rule in _RULES.items()]
    return Line(name=NAME, model=_model(), variants=made, timed=[one.name for one in made])


async def measure(round_count: int, *, phases: Sequence[str] = PHASES) -> None:
    """Find the amounts on the device, train ``round_count`` seeds with them, then time the files of the first."""
    if "find" in phases:
        await asyncio.to_thread(find_amounts)
    if {"train", "time"} & set(phases):
        await train_and_time(line(found_amounts()), round_count, phases)


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
            f"The Fashion-MNIST ResNet to {SHARE}x of its latency on the device `local`. The amounts are found there "
            f"by `{_RULES[OURS]},latency={SHARE}x`, and with `scope=layer` (one ratio for all layers); then both "
            f"are trained alike (`{_TRAINING}`) on {run.settings['training_count']:,} training images and scored on "
            "9,000 test images. The latencies in the verdicts are those of the trained files, in their own session: "
            "`steelyard measure`, interleaved, one thread."
        ),
        run=run,
        head=[*HEAD, "speed-up"],
        rows=[row(rounds, one) for one in variants(rounds)],
        verdicts=verdicts(rounds),
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


def found_amounts() -> dict[str, float]:
    """Return the share of the multiply-accumulates that each way leaves at the latency.

    Raises:
        BlockError: it was not found yet.
    """
    rounds = ResultsFile(NAME).rounds(_key())
    found = {one["variant"]: one["amount"] for one in rounds if one["kind"] == "found"}
    if set(found) != set(_RULES):
        raise BlockError(f"no amount for {', '.join(sorted(set(_RULES) - set(found)))}; run the phase find first")
    return found


def find_amounts() -> None:
    """Let the controller find each amount by candidates on its device; nothing is trained."""
    results, key = ResultsFile(NAME), _key()
    done = {one["variant"] for one in results.rounds(key) if one["kind"] == "found"}
    for name, rule in _RULES.items():
        if name not in done:
            say(f"{NAME}: {name}, candidates")
            results.append(key, {"kind": "found", "variant": name, **_found(rule)})
    say("")


def _found(rule: str) -> dict[str, Any]:
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
        step = client.job(job.job_id).steps[0]
    return {"amount": json.loads(step.settings_json)["amount"], "notes": list(step.notes)}


def _model() -> TrainedModel:
    return fashion_model("fashion_resnet")


def _key() -> dict[str, Any]:
    empty = Line(name=NAME, model=_model(), variants=())
    return this_key(empty.settings)
