"""What the detector is taught says, read as its output is, exactly what is on the canvases."""

from __future__ import annotations

import numpy as np
from benchmarks.detection_data import placed_pictures
from benchmarks.train_detector import detector_inputs, detector_metric, place_targets

from tests.support.detection_data import drawn_pictures

_STRIDE = 8


def test_a_detector_that_learned_its_targets_by_heart_finds_every_box() -> None:
    pictures, labels = drawn_pictures(40)
    data = placed_pictures(pictures, labels, canvas_count=12, seed=6)
    steps = np.arange(_STRIDE / 2, 96, _STRIDE, dtype=np.float32)
    centres = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    distances, classes = place_targets(data, centres, _STRIDE)
    assert set(np.unique(classes)) == {-1, 0, 1, 2}
    before, after = distances[..., :2] * _STRIDE, distances[..., 2:] * _STRIDE
    boxes = np.concatenate((centres + (after - before) / 2, before + after), axis=2) / 96
    scores = (classes[..., None] == np.arange(10)).astype(np.float32)
    found = np.concatenate((boxes, scores), axis=2).astype(np.float32).transpose(0, 2, 1)
    assert detector_metric().answers(data.truth, {"found": found}).value() == 1.0


def test_inputs_are_shares_of_the_brightest_pixel() -> None:
    inputs = detector_inputs(np.array([[[0, 255]]], dtype=np.uint8))
    assert inputs.dtype == np.float32
    assert inputs.tolist() == [[[[0.0, 1.0]]]]
