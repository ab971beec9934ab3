"""Train a small anchor-free detector on pictures of Fashion-MNIST placed on canvases, and export it to ONNX.

In an environment of its own (nothing of it is needed to run the product), from the repository's root:

  pip install -r tools/requirements-training.txt scipy
  PYTHONPATH=.:controller:tools python -m benchmarks.train_detector --output FOLDER

It writes `detector.onnx`, input `image` float32 [N,1,96,96] (pixels / 255), output `found` [N, 4 + 10, 144], and
`detector.npz`: `x_eval` and `x_calib` uint8 [N,96,96], and the truth of `x_eval` under the names of
steelyard.tasks.metrics.contract. Evaluation canvases hold pictures of the test split, all others of the training split.
One seed, thread count, torch build and processor give the same weights.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_data import DetectionData, Placement, placed_pictures
from steelyard.tasks.metrics.contract import BOX_LABELS, BOX_SAMPLES, BOXES
from steelyard.tasks.metrics.mean_average_precision import MeanAveragePrecision

if TYPE_CHECKING:
    from benchmarks.detector_network import SmallDetector

_IMAGE_SIZE = 96
_CLASS_COUNT = 10
_BATCH_SIZE = 32
_PEAK_LEARNING_RATE = 4e-3
# An object is learned at the places within so many strides of its centre (FCOS's centre sampling).
_CENTRE_STRIDES = 1.5
_EVALUATION_SEED, _CALIBRATION_SEED, _TRAINING_SEED = 1, 2, 1000

_log = logging.getLogger("train_detector")


def detector_metric(overlap: str = "50:95") -> MeanAveragePrecision:
    """Return the metric that reads this detector's output."""
    return MeanAveragePrecision(
        class_count=_CLASS_COUNT, normalised=True, image_size=(_IMAGE_SIZE, _IMAGE_SIZE), overlap=overlap
    )


def detector_inputs(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return canvases uint8 [N,S,S] as the detector takes them, float32 [N,1,S,S]."""
    return images[:, None].astype(np.float32) / np.float32(255.0)


def place_targets(
    data: DetectionData, centres: NDArray[np.float32], stride: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return what each place should give: distances in strides float32 [N,A,4] and class int64 [N,A], -1 for none.

    A place near the centres of two objects belongs to the smaller one.
    """
    sample_count, place_count = len(data.images), len(centres)
    distances = np.ones((sample_count, place_count, 4), dtype=np.float32)
    classes = np.full((sample_count, place_count), -1, dtype=np.int64)
    boxes = data.truth[BOXES]
    extents = boxes[:, 2:] - boxes[:, :2]
    # The smallest comes last and has the last word.
    for number in np.argsort(-extents.prod(axis=1), kind="stable"):
        box, sample = boxes[number], data.truth[BOX_SAMPLES][number]
        offsets = np.concatenate((centres - box[:2], box[2:] - centres), axis=1)
        from_centre = np.abs(centres - (box[:2] + box[2:]) / 2).max(axis=1)
        chosen = (offsets.min(axis=1) > 0) & (from_centre <= _CENTRE_STRIDES * stride)
        distances[sample, chosen] = offsets[chosen] / stride
        classes[sample, chosen] = data.truth[BOX_LABELS][number]
    return distances, classes


def train(
    pictures: NDArray[np.uint8], labels: NDArray[np.int64], *, epochs: int, canvases: int, seed: int
) -> SmallDetector:
    """Train on ``canvases`` new canvases an epoch; Adam with decoupled weight decay on a one-cycle schedule."""
    import torch

    from benchmarks.detector_network import STRIDE, SmallDetector, detection_loss, place_centres

    torch.manual_seed(seed)
    network = SmallDetector(_CLASS_COUNT).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=_PEAK_LEARNING_RATE, weight_decay=1e-4)
    steps = epochs * (canvases // _BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_PEAK_LEARNING_RATE, total_steps=steps)
    centres = place_centres(_IMAGE_SIZE).numpy()
    for epoch in range(epochs):
        started_s, loss_sum = time.perf_counter(), 0.0
        data = _canvases(pictures, labels, canvases, _TRAINING_SEED + epoch)
        targets, classes = (torch.from_numpy(array) for array in place_targets(data, centres, STRIDE))
        inputs = torch.from_numpy(detector_inputs(data.images))
        for start in range(0, canvases - _BATCH_SIZE + 1, _BATCH_SIZE):
            batch = slice(start, start + _BATCH_SIZE)
            optimizer.zero_grad()
            loss = detection_loss(*network(inputs[batch]), targets[batch], classes[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item()
        took_s = time.perf_counter() - started_s
        _log.info("epoch %d/%d  loss %.3f  %.0f s", epoch + 1, epochs, loss_sum * _BATCH_SIZE / canvases, took_s)
    return network.eval()


def export(network: SmallDetector, path: Path) -> None:
    """Write the detector as one ONNX file with a dynamic batch."""
    import onnx
    import torch

    from benchmarks.detector_network import ExportedDetector

    program = torch.onnx.export(
        ExportedDetector(network, _IMAGE_SIZE).eval(),
        (torch.zeros(2, 1, _IMAGE_SIZE, _IMAGE_SIZE),),
        input_names=["image"],
        output_names=["found"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program; install torch 2.9 or newer")
    model = program.model_proto
    # The exporter's notes hold stack traces with folder names of the training machine.
    for entry in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def average_precisions(path: Path, data: DetectionData) -> dict[str, float | None]:
    """Return the file's average precisions on these canvases through plain onnxruntime."""
    import onnxruntime as ort

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = np.concatenate([session.run(None, {"image": image[None]})[0] for image in detector_inputs(data.images)])
    return {
        overlap: detector_metric(overlap).answers(data.truth, {"found": found}).value() for overlap in ("50:95", "50")
    }


def _canvases(pictures: NDArray[np.uint8], labels: NDArray[np.int64], count: int, seed: int) -> DetectionData:
    placement = Placement(canvas_size=_IMAGE_SIZE)
    return placed_pictures(pictures, labels, canvas_count=count, seed=seed, placement=placement)


def main() -> None:
    """Train, export and say what came out."""
    from fashion_mnist import CLASS_NAMES, DEFAULT_FOLDER, load_split

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for detector.onnx and detector.npz")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder with Fashion-MNIST's four gz files")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--canvases", type=int, default=6000, help="new canvases an epoch")
    parser.add_argument("--evaluation", type=int, default=500, help="canvases to evaluate on")
    parser.add_argument("--calibration", type=int, default=300, help="canvases to calibrate on")
    parser.add_argument("--seed", type=int, default=0, help="of the network's first weights")
    arguments = parser.parse_args()
    # The exporter's own lines are many and not of interest.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _log.setLevel(logging.INFO)
    training, test = load_split(arguments.data, "train"), load_split(arguments.data, "t10k")
    labels = training.labels.astype(np.int64)
    evaluation = _canvases(test.images, test.labels.astype(np.int64), arguments.evaluation, _EVALUATION_SEED)
    calibration = _canvases(training.images, labels, arguments.calibration, _CALIBRATION_SEED)
    arguments.output.mkdir(parents=True, exist_ok=True)
    np.savez(
        arguments.output / "detector.npz",
        x_eval=evaluation.images,
        x_calib=calibration.images,
        class_names=np.array(CLASS_NAMES),
        **evaluation.truth,
    )
    network = train(training.images, labels, epochs=arguments.epochs, canvases=arguments.canvases, seed=arguments.seed)
    export(network, arguments.output / "detector.onnx")
    for overlap, value in average_precisions(arguments.output / "detector.onnx", evaluation).items():
        _log.info("average precision at %s: %.4f", overlap, value if value is not None else float("nan"))


if __name__ == "__main__":
    main()
