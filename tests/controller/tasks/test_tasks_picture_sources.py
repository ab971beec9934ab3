"""Pictures from folders and lists, with boxes and masks: read, turned, scaled, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.sources.geometry import Geometry
from tests.controller.tasks.sources import picture, read, refusal, zoo

# -- pictures -------------------------------------------------------------------------------------------------------


def test_a_folder_a_class_gives_pictures_with_their_labels(tmp_path: Path) -> None:
    data = read(zoo(tmp_path), kind="images", calibration_count=3, validation_count=2, seed=1)
    assert data.class_names == ("cat", "dog", "owl")
    assert data.evaluation.inputs[""].shape == (7, 8, 12, 3)
    assert data.calibration is not None
    assert data.validation is not None
    assert data.calibration.truth == {}
    for split in (data.evaluation, data.validation):
        np.testing.assert_array_equal(split.inputs[""][:, 0, 0, 1] // 80, split.truth["labels"])
    assert data.drawn["seed"] == 1


def test_folders_name_the_splits(tmp_path: Path) -> None:
    for part in ("train", "test"):
        zoo(tmp_path / part, 3)
    data = read(tmp_path, kind="images", evaluation="test", calibration="train", calibration_count=4)
    assert data.evaluation.sample_count == 9
    assert data.calibration is not None
    assert data.calibration.sample_count == 4


def test_a_list_names_files_with_labels(tmp_path: Path) -> None:
    zoo(tmp_path)
    (tmp_path / "files.csv").write_text("file,label\ncat/0.png,0\nowl/1.png,2\n", encoding="utf-8")
    data = read(tmp_path, kind="images", list="files.csv")
    assert data.evaluation.truth["labels"].tolist() == [0, 2]
    assert data.class_names == ()


def test_pictures_of_different_sizes_need_a_geometry(tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png", (1, 2, 3), (12, 8))
    picture(tmp_path / "a/2.png", (1, 2, 3), (8, 12))
    assert "[source.geometry]" in str(refusal(tmp_path, kind="images"))
    data = read(tmp_path, kind="images", geometry={"short_side": 6, "crop": [4, 6]})
    assert data.evaluation.inputs[""].shape == (2, 4, 6, 3)


def test_colours_are_in_the_declared_order(tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png", (200, 100, 50))
    for colour, pixel in (("RGB", [200, 100, 50]), ("BGR", [50, 100, 200])):
        data = read(tmp_path, kind="images", geometry={"colour": colour})
        assert data.evaluation.inputs[""][0, 0, 0].tolist() == pixel
    grey = read(tmp_path, kind="images", geometry={"colour": "grey"})
    assert grey.evaluation.inputs[""].shape[-1] == 1


def test_a_picture_is_turned_as_its_exif_data_says(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (12, 8)).save(tmp_path / "a/1.jpg", exif=exif)
    assert read(tmp_path, kind="images").evaluation.inputs[""].shape == (1, 12, 8, 3)


def test_broken_and_missing_pictures_are_named(tmp_path: Path) -> None:
    zoo(tmp_path)
    (tmp_path / "cat/0.png").write_bytes(b"no picture")
    assert "cat/0.png" in str(refusal(tmp_path, kind="images"))
    assert refusal(tmp_path, kind="images", folder="nothing").reason == "data_not_found"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path, kind="images", folder="empty").reason == "empty_data"
    picture(tmp_path / "loose/1.png", (0, 0, 0))
    assert refusal(tmp_path, kind="images", folder="loose").reason == "no_label"


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a/1.png", (0, 0, 0), (40, 40))
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    assert refusal(tmp_path, kind="images").reason == "picture_too_large"


def test_boxes_go_through_letterbox_and_crop_with_the_pixels() -> None:
    image = PIL.Image.new("RGB", (40, 20))
    for x in range(8, 16):
        for y in range(4, 12):
            image.putpixel((x, y), (255, 255, 255))
    for geometry in (
        Geometry(letterbox=(32, 32), fill=0, resample="nearest"),
        Geometry(size=(10, 80), resample="nearest"),
        Geometry(short_side=40, crop=(30, 70), resample="nearest"),
    ):
        pixels, placing = geometry.apply(image)
        ((left, top, right, bottom),) = placing.boxes(np.array([[8, 4, 16, 12]], np.float32)).tolist()
        rows, columns = np.nonzero(pixels[:, :, 0] > 127)
        assert abs(columns.min() - left) <= 1
        assert abs(columns.max() + 1 - right) <= 1
        assert abs(rows.min() - top) <= 1
        assert abs(rows.max() + 1 - bottom) <= 1


@pytest.mark.parametrize(
    ("geometry", "match"),
    [
        ({"size": [8]}, "height, width"),
        ({"size": [8, 0]}, "geometry.size is 0"),
        ({"size": [8, 8], "short_side": 4}, "exclude"),
        ({"colour": "rgb"}, "RGB"),
        ({"fill": 300}, "0 to 255"),
        ({"sise": [8, 8]}, "did you mean 'size'"),
    ],
)
def test_geometries_that_make_no_sense_are_refused(tmp_path: Path, geometry: dict[str, object], match: str) -> None:
    zoo(tmp_path)
    with pytest.raises(TaskError, match=match):
        read(tmp_path, kind="images", geometry=geometry)


# -- boxes and masks ------------------------------------------------------------------------------------------------


def coco(folder: Path, **changes: object) -> Path:
    for index in range(3):
        picture(folder / f"photos/{index}.png", (0, 0, 0), (20, 10))
    content = {
        "images": [{"id": index, "file_name": f"{index}.png"} for index in range(3)],
        "categories": [{"id": 7, "name": "bag"}, {"id": 3, "name": "shoe"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "bbox": [2, 1, 4, 3]},
            {"id": 2, "image_id": 0, "category_id": 3, "bbox": [10, 5, 10, 5]},
            {"id": 3, "image_id": 2, "category_id": 3, "bbox": [0, 0, 20, 10]},
            {"id": 4, "image_id": 2, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 1},
        ],
        **changes,
    }
    (folder / "boxes.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_coco_boxes_are_scaled_with_their_pictures(tmp_path: Path) -> None:
    data = read(coco(tmp_path), kind="coco", annotations="boxes.json", images="photos", geometry={"size": [20, 20]})
    assert data.class_names == ("shoe", "bag")
    truth = data.evaluation.truth
    assert truth["box_samples"].tolist() == [0, 0, 2]
    assert truth["box_labels"].tolist() == [1, 0, 0]
    np.testing.assert_allclose(truth["boxes"], [[2, 2, 6, 8], [10, 10, 20, 20], [0, 0, 20, 20]])
    assert data.drawn["crowd_regions_left_out"] == 1


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"annotations": [{"id": 1, "image_id": 0, "category_id": 9, "bbox": [1, 2, 3, 4]}]}, "annotation 1"),
        ({"annotations": [{"id": 5, "image_id": 0, "category_id": 7, "bbox": [1, 2]}]}, "annotation 5"),
        ({"annotations": [{"id": 6, "image_id": [0], "category_id": 7, "bbox": [1, 2, 3, 4]}]}, "image_id"),
        ({"annotations": [{"id": 8, "image_id": 0, "category_id": 7, "bbox": [1, 2, 3, 10**400]}]}, "annotation 8"),
        ({"categories": [{"id": None, "name": "cup"}]}, "'categories' has the id 'None'"),
        ({"images": [{"id": {}, "file_name": "a.png"}]}, "'images' has the id"),
        ({"categories": "none"}, "'categories'"),
    ],
)
def test_annotations_that_make_no_sense_are_named(tmp_path: Path, changes: dict[str, object], match: str) -> None:
    coco(tmp_path, **changes)
    with pytest.raises(TaskError, match=match):
        read(tmp_path, kind="coco", annotations="boxes.json", images="photos")


def test_masks_keep_their_class_numbers_through_the_geometry(tmp_path: Path) -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 3
    for index in range(2):
        picture(tmp_path / f"photos/{index}.jpg", (9, 9, 9), (20, 10))
        (tmp_path / "masks").mkdir(exist_ok=True)
        PIL.Image.fromarray(mask).save(tmp_path / f"masks/{index}.png")
    data = read(tmp_path, kind="masks", images="photos", masks="masks", geometry={"letterbox": [20, 20]})
    masks = data.evaluation.truth["masks"]
    assert masks.shape == (2, 20, 20)
    assert set(np.unique(masks).tolist()) == {0, 3, 255}
    assert (masks[:, :5] == 255).all()
    (tmp_path / "masks/1.png").unlink()
    assert "no mask" in str(refusal(tmp_path, kind="masks", images="photos", masks="masks"))
