"""Canvases of placed pictures: their boxes are exact, because the generator knows every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.detection_data import Placement, placed_pictures

from tests.support.detection_data import drawn_pictures


def test_a_box_holds_exactly_the_pixels_of_its_picture() -> None:
    pictures, labels = drawn_pictures(20)
    data = placed_pictures(pictures, labels, canvas_count=20, seed=3, placement=Placement(most_pictures=1))
    assert data.truth["box_samples"].tolist() == list(range(20))
    for image, box in zip(data.images, data.truth["boxes"].astype(int), strict=True):
        rows, columns = np.nonzero(image > 32)
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box.tolist()


def test_the_class_of_a_box_is_that_of_its_picture() -> None:
    pictures, labels = drawn_pictures(30)
    data = placed_pictures(pictures, labels, canvas_count=40, seed=4)
    widths = data.truth["boxes"][:, 2] - data.truth["boxes"][:, 0]
    heights = data.truth["boxes"][:, 3] - data.truth["boxes"][:, 1]
    # The shapes of the classes are 24, 18 and 12 pixels wide and 24 high before they are scaled.
    expected = np.array([1.0, 0.75, 0.5])[data.truth["box_labels"]]
    assert np.abs(widths / heights - expected).max() < 0.12
    assert set(data.truth["box_labels"].tolist()) == {0, 1, 2}


def test_boxes_overlap_no_more_than_is_asked_for() -> None:
    pictures, labels = drawn_pictures(30)
    placement = Placement(most_pictures=6, most_overlap=0.05)
    data = placed_pictures(pictures, labels, canvas_count=30, seed=5, placement=placement)
    boxes, samples = data.truth["boxes"].astype(float), data.truth["box_samples"]
    assert np.bincount(samples).max() > 1
    for sample in range(30):
        own = boxes[samples == sample]
        for number, one in enumerate(own):
            for other in own[:number]:
                shared = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0).prod()
                assert shared <= 0.05 * min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())


def test_one_seed_gives_one_data_set() -> None:
    pictures, labels = drawn_pictures(10)
    one, same, other = (placed_pictures(pictures, labels, canvas_count=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.images, same.images)
    assert np.array_equal(one.truth["boxes"], same.truth["boxes"])
    assert not np.array_equal(one.images, other.images)


def test_sizes_that_do_not_fit_the_canvas_are_refused() -> None:
    with pytest.raises(ValueError, match="canvas of 20"):
        Placement(canvas_size=20)
