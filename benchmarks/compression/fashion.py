"""The demo's two models of Fashion-MNIST, with the whole test split where Debian's package of it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.task_files import TaskData, every_kth, labelled, unlabelled

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where `apt install dataset-fashion-mnist` puts its four gz files."""

MODELS = {
    "fashion_resnet": "ResNet trained for the demo on Fashion-MNIST's 60,000 training images.",
    "fashion_mobilenet": "MobileNet trained for the demo on Fashion-MNIST's 60,000 training images.",
}
_PREPROCESS = {"divide": 255.0, "mean": [0.2860], "std": [0.3530], "layout": "NCHW"}


def fashion_task(shipped: Path, debian: Path) -> TaskData:
    """Return test images, of which every tenth (shipped ones: every fifth) is for validation.

    Args:
        shipped: the demo's .npz: 500 training images to calibrate on, and 2,000 of the 10,000 test images.
        debian: folder with `t10k-images-idx3-ubyte.gz` and its labels; the shipped test images serve without it.
    """
    with np.load(shipped, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    images, labels, share = arrays["x_eval"], arrays["y_eval"], 5
    if debian.is_dir():
        images, labels = _test_split(debian)
        share = 10
    # The shipped classes follow each other in turn: blocks of ten are balanced.
    validation = every_kth(len(labels), share, block=10)
    return TaskData(
        description=f"{len(labels):,} test images of Fashion-MNIST, and 500 training images for calibration",
        splits={
            "evaluation": labelled(images[~validation], labels[~validation]),
            "calibration": unlabelled(arrays["x_calib"]),
            "validation": labelled(images[validation], labels[validation]),
        },
        preprocess=_PREPROCESS,
        metric={"kind": "top1"},
        class_names=tuple(str(name) for name in arrays["class_names"]),
        licence="MIT",
    )


def _test_split(folder: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    from steelyard.tasks.sources.idx import read_idx

    return read_idx(folder / "t10k-images-idx3-ubyte.gz"), read_idx(folder / "t10k-labels-idx1-ubyte.gz")
