"""Write the demo's labelled data and its task file: 2,000 test and 500 calibration images of Fashion-MNIST.

Needs numpy and the Debian package `dataset-fashion-mnist` (or a folder with the same four gz files). The same
seed writes the same arrays: `python tools/write_demo_data.py --output controller/steelyard/demo/assets`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from fashion_mnist import (
    CLASS_NAMES,
    DEFAULT_FOLDER,
    PIXEL_MEAN,
    PIXEL_STD,
    LabelledImages,
    balanced_sample,
    image_digests,
    load_split,
)

DEFAULT_OUTPUT = Path(__file__).resolve().parent.parent / "controller" / "steelyard" / "demo" / "assets"
DEFAULT_SEED = 2026
EVALUATION_PER_CLASS = 200
CALIBRATION_PER_CLASS = 50

_TASK_FILE = f"""\
name = "fashion-mnist"
data = "fashion_mnist.npz"
licence = "MIT"
description = "Fashion-MNIST: {10 * EVALUATION_PER_CLASS:,} test images in ten balanced classes of clothing, \
and {10 * CALIBRATION_PER_CLASS} training images for calibration"

[evaluation]
inputs = "x_eval"
labels = "y_eval"

[calibration]
inputs = "x_calib"

[preprocess]
divide = 255.0
mean = [{PIXEL_MEAN:.4f}]
std = [{PIXEL_STD:.4f}]
layout = "NCHW"

[metric]
kind = "top1"
class_names = "class_names"
"""


def evaluation_images(data: Path, seed: int) -> LabelledImages:
    """Draw the shipped evaluation images from the test split."""
    nothing = np.empty((0, 28, 28), dtype=np.uint8)
    return balanced_sample(load_split(data, "t10k"), EVALUATION_PER_CLASS, seed=seed, excluding=nothing)


def write_demo_data(data: Path, output: Path, seed: int) -> None:
    """Write `fashion_mnist.npz` and `fashion_mnist.toml` into the folder `output`."""
    evaluation = evaluation_images(data, seed)
    calibration = balanced_sample(
        load_split(data, "train"), CALIBRATION_PER_CLASS, seed=seed + 1, excluding=evaluation.images
    )
    shared = image_digests(evaluation.images) & image_digests(calibration.images)
    if shared:
        raise ValueError(f"{len(shared)} images are in both the evaluation and the calibration set.")
    output.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        output / "fashion_mnist.npz",
        x_eval=evaluation.images,
        y_eval=evaluation.labels,
        x_calib=calibration.images,
        y_calib=calibration.labels,
        class_names=np.array(CLASS_NAMES),
    )
    (output / "fashion_mnist.toml").write_text(_TASK_FILE, encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder with the four IDX gz files")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="folder to write into")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of the two draws (default: %(default)s)")
    arguments = parser.parse_args()
    write_demo_data(arguments.data, arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
