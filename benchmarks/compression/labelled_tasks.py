"""Data of models with labels as tasks: each function takes the arrays of one .npz in `data/`.

Calibration rows are taken out of the evaluation rows, spread over the file, where the file has no calibration half of
its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.score_heads import SCORE
from benchmarks.compression.task_files import TaskData, every_kth, labelled, unlabelled

Arrays = Mapping[str, NDArray[Any]]


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
    calibration, validation = speech_calibration(clips), speech_validation(clips)
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


def speech_calibration(clips: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which windows of the clips [N, windows, ...] calibrate, bool [N * windows]."""
    return _every_sixth_pair(clips, offset=1)


def speech_validation(clips: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which windows of the clips [N, windows, ...] validate, bool [N * windows]."""
    return _every_sixth_pair(clips, offset=4)


def _every_sixth_pair(clips: NDArray[np.int8], *, offset: int) -> NDArray[np.bool_]:
    # Speech and no speech alternate: neighbours stay together, so that each split is balanced.
    count, window_count = clips.shape[:2]
    return every_kth(count * window_count, 6, offset=offset, block=2 * window_count)


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


def cifar(arrays: Arrays) -> TaskData:
    """Return 12 pictures NHWC; the other 8, also mirrored, are for calibration."""
    return _few_pictures(arrays, "CIFAR-10", {"divide": 128.0, "mean": [1.0], "layout": "NHWC"})


def imagenet(arrays: Arrays) -> TaskData:
    """Return 12 pictures, NCHW to the model; the other 8, also mirrored, are for calibration."""
    return _few_pictures(arrays, "ImageNet", {"divide": 128.0, "mean": [127.0 / 128.0], "layout": "NCHW"})


def key_words(arrays: Arrays) -> TaskData:
    """Return the distinct spectrograms of synthetic voices; every fifth is for calibration."""
    rows = distinct_rows(arrays["x"])
    spectra, labels = arrays["x"][rows], arrays["y"][rows]
    calibration = every_kth(len(rows), 5, offset=2)
    return TaskData(
        description="Spectrograms of words spoken by espeak-ng and flite: on, off, and twelve others",
        splits={
            "evaluation": labelled(spectra[~calibration], labels[~calibration]),
            "calibration": unlabelled(spectra[calibration]),
        },
        preprocess={"divide": 1.0},
        metric={"kind": "top1"},
        class_names=tuple(str(name) for name in arrays["class_names"]),
    )


def faces(arrays: Arrays) -> TaskData:
    """Return pictures with and without a face, NHWC; of five one is for calibration and one to choose by.

    Whole-range integers break this model, so that it is one to repair, and repairs choose.
    """
    pictures = np.repeat(arrays["x"][..., None], 3, axis=-1)
    calibration, validation = every_kth(len(pictures), 5, offset=2), every_kth(len(pictures), 5, offset=4)
    evaluation = ~(calibration | validation)
    return TaskData(
        description="Face or not: grey pictures of 25x25 enlarged to 64x64 on a field of their mean",
        splits={
            "evaluation": labelled(pictures[evaluation], arrays["y"][evaluation]),
            "calibration": unlabelled(pictures[calibration]),
            "validation": labelled(pictures[validation], arrays["y"][validation]),
        },
        preprocess={"divide": 127.5, "mean": [1.0], "layout": "NHWC"},
        metric={"kind": "auc", "output": SCORE},
    )


def distinct_rows(samples: NDArray[Any]) -> NDArray[np.int64]:
    """Return the numbers of the rows of [N, ...] that equal no earlier one, in order.

    In `kws_on_off.npz` three of the voices make the same sound: 266 of its 350 rows are distinct.
    """
    _, first = np.unique(samples.reshape(len(samples), -1), axis=0, return_index=True)
    return np.sort(first)


def _few_pictures(arrays: Arrays, origin: str, preprocess: Mapping[str, Any]) -> TaskData:
    images = arrays["x"]
    calibration = every_kth(len(images), 5, offset=1) | every_kth(len(images), 5, offset=3)
    chosen = images[calibration]
    return TaskData(
        description=f"A smoke check: {int((~calibration).sum())} pictures of {origin}",
        splits={
            "evaluation": labelled(images[~calibration], arrays["y"][~calibration]),
            "calibration": unlabelled(np.concatenate((chosen, chosen[:, :, ::-1]))),
        },
        preprocess=preprocess,
        metric={"kind": "top1"},
        class_names=tuple(str(name) for name in arrays.get("class_names", ())),
    )
