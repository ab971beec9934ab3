"""Running an experiment: what is missing is made, measured and kept, one after the other; what is there stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.errors import SteelyardError, UsageError
from steelyard.experiments.record import DeviceMeasurement, ExperimentRecipe, ExperimentRecord, SeedTraining
from steelyard.plural import counted

# A measurement takes 64 models, and the first one is the original.
_VARIANTS_AT_ONCE = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentWork:
    """What does the work. Each may raise SteelyardError, and is interrupted by KeyboardInterrupt.

    ``compress`` returns the digest of what a recipe makes with a seed; ``measure`` measures models beside their
    original on a device and returns the job's id; ``keep`` keeps the record; ``say`` tells what begins.
    """

    compress: Callable[[ExperimentRecipe, int], str]
    measure: Callable[[Sequence[str], str], str]
    keep: Callable[[ExperimentRecord], None]
    say: Callable[[str], None]


def run_experiment(
    record: ExperimentRecord, *, seeds: Sequence[int], devices: Sequence[str], work: ExperimentWork
) -> ExperimentRecord:
    """Return the record with all that was missing of ``seeds`` and ``devices``; each part is kept as it ends.

    A training that fails, by a loss that is no number, say, is noted, and the others go on; next time it is tried anew.
    A device that is lost is left, and the others are measured before that is raised. A recipe that cannot be made is
    taken out, if no seed made anything of it.

    Raises:
        SteelyardError: a measurement failed, or a training for a reason that all would fail for.
    """
    return _measure(_train(record, seeds, work), devices, work)


def _train(record: ExperimentRecord, seeds: Sequence[int], work: ExperimentWork) -> ExperimentRecord:
    pairs = [(recipe, seed) for seed in seeds for recipe in record.recipes]
    missing = [(recipe, seed) for recipe, seed in pairs if record.training(recipe.name, seed) is None]
    if len(missing) < len(pairs):
        work.say(f"{len(pairs) - len(missing)} of {len(pairs)} trainings are there")
    for number, (recipe, seed) in enumerate(missing, start=1):
        work.say(f"training {number} of {len(missing)}: {recipe.name}, seed {seed}")
        try:
            record = record.with_training(_trained(recipe, seed, work))
        except UsageError:
            # It would end every later call, too, whatever that is to add.
            left = record.without_untrained(recipe.name)
            if left != record:
                work.keep(left)
                work.say(f"{recipe.name} cannot be made here and is left out of the experiment; the others stay")
            raise
        work.keep(record)
    return record


def _trained(recipe: ExperimentRecipe, seed: int, work: ExperimentWork) -> SeedTraining:
    try:
        return SeedTraining(recipe=recipe.name, seed=seed, digest=work.compress(recipe, seed))
    except UsageError:
        # The recipe, the task or the model does not suit, whatever the seed.
        raise
    except SteelyardError as error:
        work.say(f"{recipe.name} with seed {seed} failed: {error}")
        return SeedTraining(recipe=recipe.name, seed=seed, reason=str(error) or error.reason)


def _measure(record: ExperimentRecord, devices: Sequence[str], work: ExperimentWork) -> ExperimentRecord:
    failures: list[SteelyardError] = []
    for device in devices:
        missing = record.unmeasured(device)
        for start in range(0, len(missing), _VARIANTS_AT_ONCE):
            digests = missing[start : start + _VARIANTS_AT_ONCE]
            work.say(f"measuring {counted(len(digests), 'model')} of {len(missing)} on {device}")
            try:
                job_id = work.measure(digests, device)
            except SteelyardError as error:
                failures.append(error)
                if len(devices) > 1:
                    work.say(f"{device} could not be measured: {error}")
                break
            record = record.with_measurement(DeviceMeasurement(device=device, job_id=job_id, digests=digests))
            work.keep(record)
    if failures:
        raise failures[0]
    return record
