"""MiniLM as one would ship it for the tweets: all of it learnt from them, not its head alone."""

from __future__ import annotations

import dataclasses

from benchmarks.compression.bench_models import cache_folder
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.training.recipe_runs import RecipeRuns, Variant, file_of
from benchmarks.training.trained_rounds import Rounds
from benchmarks.training.training_tasks import TrainedModel, tweets_model

NAME = "minilm_tuned"
RECIPE = "fine-tune,epochs=3,learning_rate=0.00005,batch_size=32,precision=bfloat16"
_SEED = 0


def tuned_tweets_model() -> TrainedModel:
    """Return MiniLM after learning from the tweets, made on first use: teachers know their task.

    Raises:
        BlockError: MiniLM or the tweets were not made yet.
        SteelyardError: it cannot be trained.
    """
    base, folder = tweets_model(), cache_folder() / f"train-{NAME}"
    file = file_of(base, folder, NAME, _SEED)
    if not file.is_file():
        made = RecipeRuns(base, folder).make(Variant(name=NAME, recipe=RECIPE), _SEED)
        ResultsFile(NAME).append(this_key({}), {"kind": "trained", "variant": NAME, "seed": _SEED, **made})
    return dataclasses.replace(base, name=NAME, model=file)


def tuning_rounds() -> Rounds:
    """Return the training that comes before what others make of it, none where it was not recorded."""
    run = ResultsFile(NAME).latest()
    return run.rounds[-1:] if run is not None else ()
