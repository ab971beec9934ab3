"""The small detector that `benchmarks.train_detector` trains, with its canvases as a task of boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.task_files import Rows, TaskData, every_kth, unlabelled

FOLDER, MODEL_FILE, ARRAYS_FILE = "detector", "detector.onnx", "detector.npz"
COMMAND = "PYTHONPATH=.:controller:tools python -m benchmarks.train_detector"
ABOUT = "An anchor-free detector of clothes placed on canvases of 96x96 by a script: exact boxes, no photographs."
_IMAGE_SIZE, _CLASS_COUNT = 96, 10
_BOXES, _BOX_LABELS, _BOX_SAMPLES = "boxes", "box_labels", "box_samples"


def detector_task(arrays_file: Path) -> TaskData:
    """Return 4 of 5 evaluation canvases with their boxes, and the fifth to choose by."""
    with np.load(arrays_file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    validation = every_kth(len(arrays["x_eval"]), 5, offset=2)
    return TaskData(
        description="Fashion-MNIST's test images placed on canvases, with the boxes of what can be seen of them",
        splits={
            "evaluation": chosen_canvases(arrays, ~validation),
            "calibration": unlabelled(arrays["x_calib"]),
            "validation": chosen_canvases(arrays, validation),
        },
        preprocess={"divide": 255.0, "layout": "NCHW"},
        metric={
            "kind": "map",
            "class_count": _CLASS_COUNT,
            "normalised": True,
            "image_size": [_IMAGE_SIZE, _IMAGE_SIZE],
        },
        class_names=tuple(str(name) for name in arrays["class_names"]),
        licence="MIT",
    )


def chosen_canvases(arrays: dict[str, NDArray[Any]], chosen: NDArray[np.bool_]) -> Rows:
    """Return the canvases that ``chosen`` bool [N] is true for, with their boxes numbered by the new rows."""
    new_rows = np.cumsum(chosen) - 1
    kept = chosen[arrays[_BOX_SAMPLES]]
    return Rows(
        inputs={"": arrays["x_eval"][chosen]},
        truth={
            _BOXES: arrays[_BOXES][kept],
            _BOX_LABELS: arrays[_BOX_LABELS][kept],
            _BOX_SAMPLES: new_rows[arrays[_BOX_SAMPLES][kept]].astype(np.int64),
        },
    )
