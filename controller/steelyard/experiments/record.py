"""What an experiment consists of, as it is kept: recipes, trainings, measurements. Their figures stand with those."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from steelyard.errors import UsageError
from steelyard.nightly.report_json import made, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecipe:
    """A recipe; of a baseline also ``baseline_of``, the name of the recipe that it is held against, else ""."""

    name: str
    toml: str
    baseline_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTraining:
    """What a recipe made with a seed: a model's ``digest``, or "" and the ``reason`` why there is none."""

    recipe: str
    seed: int
    digest: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a training of neither."""
        if bool(self.digest) == bool(self.reason):
            raise ValueError(f"{self.recipe} with seed {self.seed} has a model or a reason, and one of the two only")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMeasurement:
    """A finished measurement of models of the experiment, beside the model that they were made from."""

    device: str
    job_id: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    """All of an experiment, in the order in which it was added.

    ``target`` is the device that settings left at "auto" are chosen for, and that recipes measure on; "" for none. It
    stays, so that all seeds are trained alike.
    """

    target: str = ""
    recipes: tuple[ExperimentRecipe, ...] = ()
    trainings: tuple[SeedTraining, ...] = ()
    measurements: tuple[DeviceMeasurement, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that anything was trained with."""
        return tuple(sorted({one.seed for one in self.trainings}))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that anything was measured on."""
        return tuple(dict.fromkeys(one.device for one in self.measurements))

    def training(self, recipe: str, seed: int) -> SeedTraining | None:
        """Return what a recipe made with a seed, None where that was not tried or failed."""
        return next((one for one in self.trainings if (one.recipe, one.seed) == (recipe, seed) and one.digest), None)

    def unmeasured(self, device: str) -> tuple[str, ...]:
        """Return the models, each once, that no measurement on ``device`` holds."""
        measured = {digest for one in self.measurements if one.device == device for digest in one.digests}
        made_models = dict.fromkeys(one.digest for one in self.trainings if one.digest)
        return tuple(digest for digest in made_models if digest not in measured)

    def with_recipes(self, recipes: tuple[ExperimentRecipe, ...]) -> ExperimentRecord:
        """Return this with more recipes; those that are there stay.

        Raises:
            UsageError: ``recipe_changed``: one of that name has other steps here.
        """
        known = {one.name: one for one in self.recipes}
        for one in recipes:
            if known.setdefault(one.name, one).toml != one.toml:
                raise UsageError(
                    "recipe_changed",
                    f"recipe {one.name!r} has other steps or settings here than the experiment's; give it another name",
                )
        return replace(self, recipes=tuple(known.values()))

    def without_untrained(self, name: str) -> ExperimentRecord:
        """Return this without a recipe and its baselines, where no seed made anything of them."""
        gone = {one.name for one in self.recipes if name in (one.name, one.baseline_of)}
        if any(one.digest and one.recipe in gone for one in self.trainings):
            return self
        return replace(
            self,
            recipes=tuple(one for one in self.recipes if one.name not in gone),
            trainings=tuple(one for one in self.trainings if one.recipe not in gone),
        )

    def with_training(self, training: SeedTraining) -> ExperimentRecord:
        """Return this with a training, which takes the place of one that failed."""
        key = (training.recipe, training.seed)
        others = tuple(one for one in self.trainings if (one.recipe, one.seed) != key)
        return replace(self, trainings=(*others, training))

    def with_measurement(self, measurement: DeviceMeasurement) -> ExperimentRecord:
        """Return this with a measurement more."""
        return replace(self, measurements=(*self.measurements, measurement))


def to_json(record: ExperimentRecord) -> str:
    """Return the record as JSON."""
    return json.dumps(plain(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> ExperimentRecord:
    """Return the record that ``to_json`` wrote.

    Raises:
        UsageError: ``bad_experiment``: it is none, or of a newer version.
    """
    try:
        return made(ExperimentRecord, json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError("bad_experiment", f"this is no experiment that can be read: {error}") from error
