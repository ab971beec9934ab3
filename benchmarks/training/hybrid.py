"""Prune, distil and quantize in one recipe: a point of accuracy and latency beside what single methods reach."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Standing, verdict_text
from benchmarks.results_file import ResultsFile
from benchmarks.table import Table
from benchmarks.training.lines import PHASES as _PHASES
from benchmarks.training.lines import Line, train_and_time
from benchmarks.training.recipe_runs import Variant
from benchmarks.training.trained_rounds import (
    HEAD,
    POINTS,
    Rounds,
    above,
    loss_points,
    row,
    seeds_of,
    speedup,
    time_verdict,
    variants,
)
from benchmarks.training.training_tasks import fashion_model

NAME = "hybrid"
PHASES = _PHASES
# Seeds.
ROUND_COUNT = 2
HYBRID = "hybrid"
_HYBRID = (
    "prune,amount=0.4,least=0.4,teachers=parent,label_weight=0.3,hints=auto,learning_rate=0.002,epochs=6,"
    "precision=bfloat16+qat,teachers=parent,label_weight=0.3,epochs=2"
)
# As many epochs for all that train; each alone at the widths where it is about as fast as the hybrid, and before.
_SINGLE = {
    "prune alone to 0.4": "prune,amount=0.4,least=0.4,learning_rate=0.002,epochs=8,precision=bfloat16",
    "prune alone to 0.2": "prune,amount=0.2,least=0.25,learning_rate=0.002,epochs=8,precision=bfloat16",
    "prune alone to 0.1": "prune,amount=0.1,least=0.2,learning_rate=0.002,epochs=8,precision=bfloat16",
    "distil alone, width 0.375": "distill,width=0.375,hints=auto,learning_rate=0.002,epochs=8,precision=bfloat16",
    "qat alone": "qat,epochs=8",
    "static int8 alone": "static-int8",
}


def line() -> Line:
    """Return what is trained and timed."""
    made = [Variant(name=name, recipe=recipe) for name, recipe in {HYBRID: _HYBRID, **_SINGLE}.items()]
    return Line(name=NAME, model=fashion_model("fashion_resnet"), variants=made, timed=[one.name for one in made])


async def measure(round_count: int, *, phases: Sequence[str] = PHASES) -> None:
    """Train ``round_count`` seeds of each variant, then time the files of the first."""
    await train_and_time(line(), round_count, phases)


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    rounds = run.rounds
    return Table(
        title="The hybrid: prune, distil and quantize in one recipe",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"The Fashion-MNIST ResNet, {run.settings['training_count']:,} training images, scored on 9,000 test "
            f"images. Hybrid: `{_HYBRID}`. Alone, as many epochs each but for the one that trains nothing: "
            f"{', '.join(f'`{recipe}`' for recipe in _SINGLE.values())}. The hybrid stands where no single method is "
            "as fast and as accurate: each is slower by its interval over rounds, or less accurate by its paired "
            "interval "
            "over samples, and one at least is as fast. Speeds: `steelyard measure` on the device `local`, one "
            "session, interleaved, one thread, files of the first seed; the widths of another seed differ little."
        ),
        run=run,
        head=[*HEAD, "speed-up"],
        rows=[row(rounds, one) for one in variants(rounds)],
        verdicts=[
            *(verdict_of_seed(rounds, seed) for seed in seeds_of(rounds, HYBRID)),
            time_verdict([rounds], run.machine, seed_count=ROUND_COUNT),
        ],
    )


def verdict_of_seed(rounds: Rounds, seed: int) -> str:
    """Return whether one seed's hybrid is a point that no single method reaches."""
    target = "no single method is as fast and as accurate"
    own = [one for one in rounds if one["kind"] == "timed" or one["seed"] == seed]
    found = {name: _beside(own, name) for name in _SINGLE}
    parts = [one for one in found.values() if one is not None]
    if len(parts) < len(found):
        return verdict_text(f"seed {seed}", target, Standing.UNDECIDED, "nothing yet")
    stands = _together([one for one, _ in parts], is_reached=any(_is_as_fast(own, name) for name in _SINGLE))
    return verdict_text(f"seed {seed}", target, stands, "; ".join(text for _, text in parts))


def _together(parts: Sequence[Standing], *, is_reached: bool) -> Standing:
    """Return how the hybrid stands beside all; where nobody is as fast, nothing is proven."""
    if Standing.MISSED in parts:
        return Standing.MISSED
    return Standing.MET if is_reached and set(parts) == {Standing.MET} else Standing.UNDECIDED


def _is_as_fast(rounds: Rounds, name: str) -> bool:
    faster = speedup(rounds, name, HYBRID)
    return faster is not None and faster.value <= 1


def _beside(rounds: Rounds, name: str) -> tuple[Standing, str] | None:
    """Say whether a single method misses the hybrid in latency or in accuracy; None where it is not known."""
    faster, loss = speedup(rounds, name, HYBRID), loss_points(rounds, HYBRID, name)
    if faster is None or loss is None:
        return None
    slower, worse = (above(faster, 1.0), above(loss, 0.0))
    text = f"{name}: {faster.text(2)}x its latency, {loss.text(2, POINTS)} less accurate"
    if Standing.MET in (slower, worse):
        return Standing.MET, text
    return (Standing.MISSED if slower is worse is Standing.MISSED else Standing.UNDECIDED), text
