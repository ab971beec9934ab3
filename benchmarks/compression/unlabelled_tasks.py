"""Inputs for models without labelled data: their figure is likeness to the original's outputs (sqnr).

The inputs are real or synthetic material in the form that the model takes, but not from its own front end: they tell
what quantization changes, and nothing about what the model is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.labelled_tasks import Arrays, distinct_rows
from benchmarks.compression.task_files import TaskData, every_kth, unlabelled

_SQNR = {"kind": "sqnr"}
_CROP = 96
# MLPerf Tiny's keyword spotting takes 50 frames of 10 bands from 0 to 225, its anomaly detection 5 frames of 128 bands
# from 0 to 237 (the input ranges of their int8 twins); on smaller values both answer the same to everything.
_KEYWORD_BANDS, _KEYWORD_FRAMES, _KEYWORD_TOP = 10, 50, 225.0
_STACKED_FRAMES, _STACKED_BANDS, _ANOMALY_TOP = 5, 128, 237.0
_SPEAKER_FRAMES, _SPEAKER_BANDS = 160, 40
# `kws_on_off.npz` holds a dynamic range of 40 dB in the 256 steps of int8.
_DB_PER_STEP, _LEAST_INT8 = 40.0 / 255.0, -128.0


def picture_crops(arrays: Arrays) -> TaskData:
    """Return five views float32 [96,96,3] of 0 to 255 of each ImageNet picture: four corners, and every other pixel."""
    images = arrays["x"]
    far = images.shape[1] - _CROP
    small = images[:, ::2, ::2]
    margin = (small.shape[1] - _CROP) // 2
    views = [images[:, top : top + _CROP, left : left + _CROP] for top in (0, far) for left in (0, far)]
    views.append(small[:, margin : margin + _CROP, margin : margin + _CROP])
    stacked = np.stack(views, axis=1)
    chosen = every_kth(len(images), 5, offset=1) | every_kth(len(images), 5, offset=3)
    return TaskData(
        description="Views of pictures of ImageNet",
        splits={
            "evaluation": unlabelled(_joined(stacked[~chosen])),
            "calibration": unlabelled(_joined(stacked[chosen])),
        },
        preprocess={"divide": 1.0, "layout": "NHWC"},
        metric=_SQNR,
    )


def band_frames(arrays: Arrays) -> TaskData:
    """Return 50 frames of 10 bands [50,10,1]: means of neighbouring ones of 104 bands, of every other frame."""
    spectra = _spoken(arrays) - _LEAST_INT8
    first = np.linspace(0, spectra.shape[2], _KEYWORD_BANDS, endpoint=False).astype(np.int64)
    widths = np.diff(np.append(first, spectra.shape[2]))
    bands = (np.add.reduceat(spectra, first, axis=2) / widths)[:, ::2]
    padded = np.zeros((len(spectra), _KEYWORD_FRAMES, _KEYWORD_BANDS))
    padded[:, : bands.shape[1]] = bands * (_KEYWORD_TOP / 255.0)
    return _every_fifth(padded[..., None], "Ten bands of synthetic voices, not from the model's front end")


def stacked_frames(arrays: Arrays) -> TaskData:
    """Return five neighbouring frames [5,128,1] of music or speech, each of its 64 mel bands twice."""
    clips = arrays["x_0db"].astype(np.float64) / 28.0
    frames = clips[:, 0, :, :_STACKED_FRAMES].transpose(0, 2, 1)
    doubled = np.repeat(frames, _STACKED_BANDS // frames.shape[2], axis=2)
    doubled = (doubled - doubled.min()) * (_ANOMALY_TOP / (doubled.max() - doubled.min()))
    return _every_fifth(doubled[..., None], "Mel frames of speech and music, not from the model's front end")


def speaker_frames(arrays: Arrays) -> TaskData:
    """Return 160 frames of 40 mel bands of power [160,40], drawn out of 98 frames of 104 bands."""
    power = 10.0 ** (_spoken(arrays) * _DB_PER_STEP / 10.0)
    bands = np.linspace(0, power.shape[2], _SPEAKER_BANDS, endpoint=False).astype(np.int64)
    frames = np.linspace(0, power.shape[1], _SPEAKER_FRAMES, endpoint=False).astype(np.int64)
    mel = np.add.reduceat(power, bands, axis=2)[:, frames]
    return _every_fifth(mel / mel.max(), "Mel power of synthetic voices, not from the model's front end")


def _spoken(arrays: Arrays) -> NDArray[np.float64]:
    """Return the distinct spectrograms [N, 98, 104], in steps of int8."""
    samples = arrays["x"]
    return samples[distinct_rows(samples), :, 0].astype(np.float64)


def _every_fifth(inputs: NDArray[np.float64], description: str) -> TaskData:
    chosen = every_kth(len(inputs), 5, offset=2)
    values = inputs.astype(np.float32)
    splits: Mapping[str, Any] = {"evaluation": unlabelled(values[~chosen]), "calibration": unlabelled(values[chosen])}
    return TaskData(description=description, splits=splits, metric=_SQNR)


def _joined(views: NDArray[Any]) -> NDArray[Any]:
    return views.reshape(-1, *views.shape[2:])
