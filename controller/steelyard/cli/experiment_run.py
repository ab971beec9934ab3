"""What `steelyard experiment run` does: the plan, and the work by the controller's ordinary jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.cli.follow import follow
from steelyard.cli.models import make_variants
from steelyard.cli.session import say
from steelyard.cli.step_measuring_flags import timing_options
from steelyard.control.intake import recipe_with_data
from steelyard.control.measurement_request import StepMeasuring
from steelyard.errors import NotFoundError, UsageError
from steelyard.fleet.local_agent import LOCAL_NAME
from steelyard_protocol.v1 import experiment_pb2

if TYPE_CHECKING:
    from steelyard.compress.recipe import Recipe
    from steelyard.control.client import Client
    from steelyard.experiments.record import ExperimentRecipe, ExperimentRecord
    from steelyard_protocol.v1 import control_pb2


class ExperimentRun:
    """One call of `experiment run`: ``model`` and ``task`` as the controller has them."""

    def __init__(
        self,
        client: Client,
        name: str,
        model: control_pb2.Artifact,
        task: control_pb2.Task | None,
        flags: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._flags = flags
        self._model = model
        kept = _kept(client, name)
        self._task = task if task is not None or not (kept and kept.task_id) else client.task(kept.task_id)
        self._kept = kept or experiment_pb2.Experiment(name=name, model_digest=model.digest, task_id=self._task_id)
        self._refuse_another(client)

    def run(self, recipes: Sequence[str], *, baselines: bool, seeds: int, devices: Sequence[str]) -> ExperimentRecord:
        """Do what is missing, and return the record.

        Raises:
            UsageError: no recipe, or one that cannot be run here.
            NotFoundError: a device that nobody knows.
        """
        from steelyard.experiments.record import ExperimentRecord, from_json
        from steelyard.experiments.running import ExperimentWork, run_experiment

        record = from_json(self._kept.json) if self._kept.version else ExperimentRecord()
        loaded = _with_baselines(recipes, record, wanted=baselines)
        record = record.with_recipes(loaded)
        if not record.recipes:
            raise UsageError("no_recipe", "an experiment needs a recipe: name one with --recipe, or several")
        for one in record.recipes:
            recipe_with_data(one.toml, self._task)
        for device in devices:
            # A misspelt one is told of before hours of training, not behind them.
            if device != LOCAL_NAME:
                self._client.device(device)
        if not record.trainings:
            record = replace(record, target=_target(record, devices))
        self._keep(record)
        target = record.target

        def compress(recipe: ExperimentRecipe, seed: int) -> str:
            return self._compress(recipe, seed, target)

        work = ExperimentWork(compress=compress, measure=self._measure, keep=self._keep, say=say)
        return run_experiment(record, seeds=range(seeds), devices=devices, work=work)

    @property
    def _task_id(self) -> str:
        return self._task.task_id if self._task is not None else ""

    def _refuse_another(self, client: Client) -> None:
        kept = self._kept
        if kept.model_digest != self._model.digest:
            known = client.artifact(kept.model_digest).name
            raise UsageError(
                "another_model",
                f"experiment {kept.name!r} is of model {known} ({kept.model_digest[:12]}), not of {self._model.name} "
                f"({self._model.digest[:12]}); choose another name",
            )
        if kept.task_id != self._task_id:
            raise UsageError(
                "another_task",
                f"experiment {kept.name!r} was begun with another task or another version of it, and its scores could "
                "not be compared; choose another name",
            )

    def _compress(self, recipe: ExperimentRecipe, seed: int, target: str) -> str:
        from steelyard.compress.recipe_text import parse_recipe

        parsed = parse_recipe(recipe.toml)
        measuring = StepMeasuring(device=target, options=timing_options(self._flags)) if parsed.needs_latency else None
        (variant,) = make_variants(
            self._client,
            self._model,
            [parsed],
            task=self._task,
            seed=seed,
            device=target,
            evaluate=self._task is not None,
            measuring=measuring,
            is_announced=True,
        )
        return variant.digest

    def _measure(self, digests: Sequence[str], device: str) -> str:
        artifacts = [self._model, *(self._client.artifact(digest) for digest in digests)]
        options = replace(timing_options(self._flags), title=f"experiment {self._kept.name}")
        handle = self._client.measure(artifacts, device=device, task=self._task, options=options)
        try:
            return follow(handle, f"{self._kept.name} on {device}").job_id
        except KeyboardInterrupt:
            say(f"{self._kept.name}: every training is kept; the same command measures on {device} anew")
            raise

    def _keep(self, record: ExperimentRecord) -> None:
        from steelyard.experiments.record import to_json

        self._kept.json = to_json(record)
        self._kept = self._client.experiments.put(self._kept)


def refuse_pools(devices: Sequence[str]) -> None:
    """Refuse what may be another device each time.

    Raises:
        UsageError: ``not_one_device``.
    """
    from steelyard.control.pools import parse_pool

    for device in devices:
        if parse_pool(device) is not None:
            raise UsageError(
                "not_one_device",
                f"{device} may be another device each time, and an experiment goes on where it was; name a device",
            )


def task_of(client: Client, path: Path | None, model: control_pb2.Artifact) -> control_pb2.Task | None:
    """Return the task in a file, None where none was named."""
    return client.add_task(path, model) if path is not None else None


def _kept(client: Client, name: str) -> experiment_pb2.Experiment | None:
    try:
        return client.experiments.get(name)
    except NotFoundError:
        return None


def _with_baselines(recipes: Sequence[str], record: ExperimentRecord, *, wanted: bool) -> tuple[ExperimentRecipe, ...]:
    """Return the recipes that are named, or those of the experiment, with their baselines where they are wanted."""
    from steelyard.compress.recipe_text import load_recipe, parse_recipe
    from steelyard.experiments.baselines import baselines_of

    loaded = [load_recipe(one) for one in recipes]
    named = {one.name: _described(one) for one in loaded}
    if not wanted:
        return tuple(named.values())
    known = loaded or [parse_recipe(one.toml) for one in record.recipes if not one.baseline_of]
    for recipe in known:
        found = baselines_of(recipe)
        added = [one.name for one in found if one.name not in named]
        named |= {one.name: _described(one, baseline_of=recipe.name) for one in found if one.name in added}
        say(f"baselines of {recipe.name}: {', '.join(added) or 'none, it neither prunes nor makes sparse'}")
    return tuple(named.values())


def _described(recipe: Recipe, *, baseline_of: str = "") -> ExperimentRecipe:
    from steelyard.experiments.record import ExperimentRecipe

    return ExperimentRecipe(name=recipe.name, toml=recipe.to_toml(), baseline_of=baseline_of)


def _target(record: ExperimentRecord, devices: Sequence[str]) -> str:
    """Return the device that recipes are run for: the only one, or where one of them measures on its way the first."""
    from steelyard.compress.recipe_text import parse_recipe

    if len(devices) == 1 or (devices and any(parse_recipe(one.toml).needs_latency for one in record.recipes)):
        return devices[0]
    return ""
