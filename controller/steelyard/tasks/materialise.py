"""Make the blobs of a task: inputs for the device, truth for the controller, calibration data for the compressor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from steelyard.tasks.fixed import with_fixed
from steelyard.tasks.packing import pack_all
from steelyard.tasks.task import LoadedTask, Split
from steelyard.tasks.truth import pack_truth


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialisedSplit:
    """.npz bytes: ``NAME.values`` (and ``NAME.table``) of each model input, and the truth; None where there is none."""

    inputs: bytes
    truth: bytes | None
    sample_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialisedTask:
    """The splits of a task for one model. The same task gives the same bytes."""

    evaluation: MaterialisedSplit
    calibration: MaterialisedSplit | None
    validation: MaterialisedSplit | None
    training: MaterialisedSplit | None = None


def materialise(
    task: LoadedTask, places: Mapping[str, str], *, fixed: Mapping[str, NDArray[Any]] | None = None
) -> MaterialisedTask:
    """Preprocess and pack a task's data.

    Args:
        task: as it was loaded.
        places: the model's input by the stored input (``check_fits``).
        fixed: values of further inputs (``fixed_inputs``): each sample then becomes all that one inference takes.

    Raises:
        TaskError: preprocessing that does not fit the data.
    """

    def made(split: Split | None) -> MaterialisedSplit | None:
        if split is None:
            return None
        inputs: dict[str, NDArray[Any]] = {places[stored]: array for stored, array in task.model_inputs(split).items()}
        if fixed:
            inputs = with_fixed(inputs, fixed, are_whole=task.is_whole)
        return MaterialisedSplit(
            inputs=pack_all(inputs, are_whole=task.is_whole or bool(fixed)),
            truth=pack_truth(split.truth) if split.truth else None,
            sample_count=split.sample_count,
        )

    evaluation = made(task.evaluation)
    assert evaluation is not None
    return MaterialisedTask(
        evaluation=evaluation,
        calibration=made(task.calibration),
        validation=made(task.validation),
        training=made(task.training),
    )
