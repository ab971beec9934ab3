"""Real models with labelled data that ship inside registry packages, and how their data is split into a task.

Each function takes the arrays of one .npz in `data/` and returns the task. Calibration rows are taken out of the
evaluation rows, spread over the file, where the file has no calibration half of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.task_files import TaskData, every_kth, labelled, unlabelled

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A model file in `models/`, a data file in `data/`, and how the one is a task for the other."""

    name: str
    model: str
    data: str
    about: str
    task: Callable[[Arrays], TaskData]


def digits(arrays: Arrays) -> TaskData:
    """Return 5,000 MNIST digits, and of the other half 1,000 to calibrate on and 1,000 to choose by."""
    calibration, validation = slice(0, 1000), slice(1000, 2000)
    return TaskData(
        description="5,000 MNIST digits; 1,000 others for calibration, 1,000 others for validation",
        splits={
            "evaluation": labelled(arrays["x_eval"], arrays["y_eval"]),
            "calibration": unlabelled(arrays["x_calib"][calibration]),
            "validation": labelled(arrays["x_calib"][validation], arrays["y_calib"][validation]),
        },
        preprocess={"divide": 255.0, "mean": [0.1307], "std": [0.3081], "layout": "NCHW"},
        metric={"kind": "top1"},
    )


def magika(arrays: Arrays) -> TaskData:
    """Return real files: of six neighbours one to calibrate on, one to choose by, four to evaluate on."""
    count = len(arrays["y"])
    calibration, validation = every_kth(count, 6, offset=1), every_kth(count, 6, offset=4)
    evaluation = ~(calibration | validation)
    return TaskData(
        description="Real files of 33 types from packages under permissive licences; the label is the file's ending",
        splits={
            "evaluation": labelled(arrays["x"][evaluation], arrays["y"][evaluation]),
            "calibration": unlabelled(arrays["x"][calibration]),
            "validation": labelled(arrays["x"][validation], arrays["y"][validation]),
        },
        metric={"kind": "top1"},
        class_names=tuple(str(name) for name in arrays["class_names"]),
    )


def speech(arrays: Arrays) -> TaskData:
    """Return windows of 200 ms, each with its clip's label; a clip's nine windows stay in one split."""
    clips = arrays["x_0db"]
    labels = np.repeat(arrays["y_0db"], clips.shape[1])
    windows = clips.reshape(-1, *clips.shape[2:])
    # Speech and no speech alternate: neighbours stay together, so that each split is balanced.
    pair = 2 * clips.shape[1]
    calibration = every_kth(len(labels), 6, offset=1, block=pair)
    validation = every_kth(len(labels), 6, offset=4, block=pair)
    evaluation = ~(calibration | validation)
    return TaskData(
        description="Windows of telephone prompts in music at 0 dB, and of music alone; four speakers",
        splits={
            "evaluation": labelled(windows[evaluation], labels[evaluation]),
            "calibration": unlabelled(windows[calibration]),
            "validation": labelled(windows[validation], labels[validation]),
        },
        preprocess={"divide": 28.0},
        metric={"kind": "auc"},
        class_names=tuple(str(name) for name in arrays["class_names"]),
        licence="CC BY-SA 3.0",
    )


def text_lines(arrays: Arrays) -> TaskData:
    """Return rendered text lines; of five pairs (upright, upside down) one is for calibration."""
    # (x / 127.5 - 1) is (2 x - 255) / 255; the model wants zeros to the right of the text, which 8 bits cannot hold.
    inside = np.arange(arrays["x"].shape[-1]) < arrays["width"][:, None, None]
    pixels = (2 * arrays["x"].astype(np.int16) - 255) * inside
    images = np.repeat(pixels[..., None], 3, axis=-1)
    calibration = every_kth(len(images), 5, offset=2, block=2)
    return TaskData(
        description="Rendered text lines, upright or upside down",
        splits={
            "evaluation": labelled(images[~calibration], arrays["y"][~calibration]),
            "calibration": unlabelled(images[calibration]),
        },
        preprocess={"divide": 255.0, "layout": "NCHW"},
        metric={"kind": "top1"},
        class_names=tuple(str(name) for name in arrays["class_names"]),
    )


_VAD_ABOUT = "Speech in music at 0 dB by windows of 200 ms (a clip's label is each window's): 4 speakers, 137 prompts."

DEFINITIONS = (
    Definition(
        name="digits",
        model="digit_recognizer_cnn.onnx",
        data="digits.npz",
        about="MNIST, near its ceiling and probably part of the model's training data: quantization hardly moves it.",
        task=digits,
    ),
    Definition(
        name="magika",
        model="magika_standard_v3_3.onnx",
        data="magika.npz",
        about="Real files of 33 of 214 types; the label is the file's ending, and errors between text types are many.",
        task=magika,
    ),
    Definition(name="vad_teacher", model="pulsevad_teacher_81k.onnx", data="vad.npz", about=_VAD_ABOUT, task=speech),
    Definition(
        name="textline",
        model="ch_ppocr_mobile_v2.0_cls_infer.onnx",
        data="textline_0_180.npz",
        about="Text lines rendered for the project, not photographed.",
        task=text_lines,
    ),
)
