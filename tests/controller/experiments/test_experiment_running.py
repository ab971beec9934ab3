"""Running experiments with work of our own: what is missing is done, once, and kept as it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from steelyard.errors import DeviceError, UsageError
from steelyard.experiments.record import ExperimentRecipe, ExperimentRecord
from steelyard.experiments.running import ExperimentWork, run_experiment

RECIPES = (ExperimentRecipe(name="a", toml="a"), ExperimentRecipe(name="b", toml="b"))
EMPTY = ExperimentRecord(recipes=RECIPES)


@dataclass
class Workshop:
    """Does the work at once, notes it, and fails or is interrupted where it is told to."""

    fails: dict[tuple[str, int], BaseException] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    trained: list[tuple[str, int]] = field(default_factory=list)
    measured: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    kept: ExperimentRecord = EMPTY
    said: list[str] = field(default_factory=list)

    def compress(self, recipe: ExperimentRecipe, seed: int) -> str:
        if (recipe.name, seed) in self.fails:
            raise self.fails[recipe.name, seed]
        self.trained.append((recipe.name, seed))
        return f"{recipe.name}{seed}"

    def measure(self, digests: Sequence[str], device: str) -> str:
        if device in self.lost:
            raise DeviceError("device_lost", f"{device} went away")
        self.measured.append((device, tuple(digests)))
        return f"job {len(self.measured)}"

    def keep(self, record: ExperimentRecord) -> None:
        self.kept = record

    def run(self, record: ExperimentRecord, *, seeds: int = 2, devices: Sequence[str] = ("pi5",)) -> ExperimentRecord:
        work = ExperimentWork(compress=self.compress, measure=self.measure, keep=self.keep, say=self.said.append)
        return run_experiment(record, seeds=range(seeds), devices=devices, work=work)


def test_every_recipe_is_trained_with_every_seed_and_all_are_measured_together() -> None:
    workshop = Workshop()
    record = workshop.run(EMPTY)
    assert workshop.trained == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert workshop.measured == [("pi5", ("a0", "b0", "a1", "b1"))]
    assert workshop.kept == record


def test_what_is_there_is_not_done_again() -> None:
    record = Workshop().run(EMPTY)
    again = Workshop()
    assert again.run(record) == record
    assert again.trained == again.measured == []


def test_more_seeds_and_devices_add_only_what_is_missing() -> None:
    workshop = Workshop()
    workshop.run(Workshop().run(EMPTY), seeds=3, devices=("pi5", "pi4"))
    assert workshop.trained == [("a", 2), ("b", 2)]
    assert workshop.measured == [("pi5", ("a2", "b2")), ("pi4", ("a0", "b0", "a1", "b1", "a2", "b2"))]


def test_what_was_done_before_an_interruption_is_kept_and_gone_on_from() -> None:
    workshop = Workshop(fails={("a", 1): KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        workshop.run(EMPTY)
    assert [(one.recipe, one.seed) for one in workshop.kept.trainings] == [("a", 0), ("b", 0)]
    later = Workshop()
    later.run(workshop.kept)
    assert later.trained == [("a", 1), ("b", 1)]


def test_a_training_that_diverges_is_noted_and_the_others_go_on() -> None:
    record = Workshop(fails={("a", 0): DeviceError("loss_not_finite", "the loss is no number")}).run(EMPTY)
    assert [one.reason for one in record.trainings if not one.digest] == ["the loss is no number"]
    assert record.measurements[0].digests == ("b0", "a1", "b1")
    again = Workshop()
    again.run(record)
    assert again.trained == [("a", 0)]


def test_what_no_seed_can_mend_ends_the_experiment_at_once() -> None:
    workshop = Workshop(fails={("a", 0): UsageError("no_training_data", "there are no samples")})
    with pytest.raises(UsageError, match="no samples"):
        workshop.run(EMPTY)
    assert workshop.trained == []


def test_a_recipe_that_cannot_be_made_does_not_stay_in_the_way_of_the_others() -> None:
    begun = Workshop().run(ExperimentRecord(recipes=RECIPES[:1]))
    baseline = ExperimentRecipe(name="c", toml="c", baseline_of="b")
    workshop = Workshop(fails={("b", 0): UsageError("target_leaves_nothing", "too little is left")})
    with pytest.raises(UsageError, match="too little is left"):
        workshop.run(begun.with_recipes((*RECIPES, baseline)), seeds=3)
    assert workshop.kept == begun
    assert workshop.said[-1] == "b cannot be made here and is left out of the experiment; the others stay"
    again = Workshop()
    again.run(workshop.kept, seeds=3)
    assert again.trained == [("a", 2)]


def test_more_models_than_a_measurement_takes_are_measured_in_several() -> None:
    workshop = Workshop()
    workshop.run(EMPTY, seeds=40)
    assert [len(digests) for _, digests in workshop.measured] == [63, 17]


def test_a_device_that_is_lost_keeps_no_other_from_being_measured() -> None:
    workshop = Workshop(lost=("pi4", "jetson"))
    with pytest.raises(DeviceError, match="pi4 went away"):
        workshop.run(EMPTY, devices=("pi4", "pi5", "jetson"))
    assert [one.device for one in workshop.kept.measurements] == ["pi5"]
    assert "jetson could not be measured: jetson went away" in workshop.said
    again = Workshop()
    again.run(workshop.kept, devices=("pi4", "pi5", "jetson"))
    assert [device for device, _ in again.measured] == ["pi4", "jetson"]
    assert again.trained == []
