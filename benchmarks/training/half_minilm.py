"""DistilBERT's way on MiniLM: half of the layers, taught by the whole, then int8 on top."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.compression.minilm import TOKENS
from benchmarks.figures import Figure, mean, standing, verdict_text
from benchmarks.results_file import ResultsFile
from benchmarks.table import Table
from benchmarks.training.lines import PHASES as _PHASES
from benchmarks.training.lines import Line, train_and_time
from benchmarks.training.recipe_runs import ORIGINAL, Variant, unpacked
from benchmarks.training.trained_rounds import HEAD, Rounds, row, speedup, time_verdict, trained, variants, verdict
from benchmarks.training.tuned_minilm import RECIPE as TUNING
from benchmarks.training.tuned_minilm import tuned_tweets_model, tuning_rounds

NAME = "half_minilm"
PHASES = _PHASES
# Seeds.
ROUND_COUNT = 1
LEAST_KEPT, LEAST_SPEEDUP = 0.97, 1.6
_HALF = "distill,layers=0.5,hints=auto,epochs=4,learning_rate=0.0001,batch_size=32,precision=bfloat16"
HALF, INT8 = "half of the layers", "and int8"


def line() -> Line:
    """Return what is trained and timed."""
    made = [
        Variant(name=HALF, recipe=_HALF),
        Variant(name=INT8, recipe=f"{_HALF}+dynamic-int8", after=HALF),
    ]
    shapes = {"input_ids": (1, TOKENS), "attention_mask": (1, TOKENS)}
    return Line(name=NAME, model=tuned_tweets_model(), variants=made, timed=[HALF, INT8], shapes=shapes)


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
        title="DistilBERT's way on MiniLM",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"MiniLM learns the tweets first (`{TUNING}`); scores and speeds are held against that. Every second layer "
            f"of six stays (Sanh et al. 2019), and learns from {run.settings['training_count']:,} "
            f"tweets what the whole answers: `{_HALF}`, then `dynamic-int8`. Epochs are compared by 200 other tweets, "
            "scored on 800 more. The share of the score that is kept has an interval over tweets. "
            f"Speeds: `steelyard measure` on the device `local`, {TOKENS} tokens, one session, interleaved, one thread."
        ),
        run=run,
        head=[*HEAD, "speed-up"],
        rows=[row(rounds, one) for one in variants(rounds)],
        verdicts=[
            *(text for name in (HALF, INT8) for text in verdicts(rounds, name)),
            time_verdict([tuning_rounds(), rounds], run.machine, seed_count=ROUND_COUNT),
        ],
    )


def verdicts(rounds: Rounds, name: str) -> list[str]:
    """Return whether a variant keeps enough of the score and is fast enough."""
    kept = kept_share(rounds, name)
    found = []
    if kept is not None:
        stands = standing(kept, least=LEAST_KEPT, most=float("inf"))
        found.append(verdict_text(f"{name}, score kept", f"at least {LEAST_KEPT:.0%}", stands, kept.text(3)))
    faster = speedup(rounds, ORIGINAL, name)
    target = f"at least {LEAST_SPEEDUP}x"
    return [*found, verdict(f"{name}, speed", target, faster, least=LEAST_SPEEDUP, most=float("inf"))]


def kept_share(rounds: Rounds, name: str) -> Figure | None:
    """Return the share of the original's score that is left, with an interval over samples."""
    origin, found = trained(rounds, ORIGINAL).get(0), trained(rounds, name)
    if origin is None or not found:
        return None
    whole = unpacked(origin["correct"], origin["count"]).astype(float)
    part = np.mean([unpacked(one["correct"], one["count"]) for one in found.values()], axis=0)
    share = part.mean() / whole.mean()
    # The delta method: a ratio of means varies as the mean of (part - share whole) / mean whole.
    return mean([float(value) for value in share + (part - share * whole) / whole.mean()])
