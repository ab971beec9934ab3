"""Make the blobs of a task: inputs for the device, labels for the controller, calibration data for the compressor."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.tasks.npz import write_npz
from steelyard.tasks.packing import pack
from steelyard.tasks.task import LoadedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialisedTask:
    """.npz bytes: ``NAME.values`` (and ``NAME.table``) of the inputs, ``labels`` int64 of the labels.

    ``calibration_bytes`` is None when the task has no calibration split. The same task gives the same bytes.
    """

    input_name: str
    evaluation_bytes: bytes
    labels_bytes: bytes
    calibration_bytes: bytes | None
    evaluation_sample_count: int
    calibration_sample_count: int


def materialise(task: LoadedTask, input_name: str) -> MaterialisedTask:
    """Preprocess and pack a task's data for the model input ``input_name``.

    Raises:
        TaskError: preprocessing that does not fit the data.
    """
    calibration = task.calibration_inputs
    return MaterialisedTask(
        input_name=input_name,
        evaluation_bytes=pack(input_name, task.model_inputs(task.evaluation_inputs)),
        labels_bytes=write_npz({"labels": task.labels}),
        calibration_bytes=None if calibration is None else pack(input_name, task.model_inputs(calibration)),
        evaluation_sample_count=task.evaluation_inputs.shape[0],
        calibration_sample_count=0 if calibration is None else calibration.shape[0],
    )
