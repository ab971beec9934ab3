"""MiniLM as one would ship it for the tweets: all of it learnt from them, not its head alone."""

from __future__ import annotations

import dataclasses

from benchmarks.compression.bench_models import cache_folder
from benchmarks.training.recipe_runs import RecipeRuns, Variant
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
    base = tweets_model()
    runs = RecipeRuns(base, cache_folder() / f"train-{NAME}")
    file = runs.file(NAME, _SEED)
    if not file.is_file():
        runs.make(Variant(name=NAME, recipe=RECIPE), _SEED)
    return dataclasses.replace(base, name=NAME, model=file)
