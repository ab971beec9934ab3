"""Samples from files as people have them: each kind read, drawn by seed, and refused in a sentence when broken."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from scipy.io import wavfile

from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.geometry import Geometry
from steelyard.tasks.sources.idx import read_idx
from steelyard.tasks.sources.registry import source_kinds, source_of
from steelyard.tasks.sources.waves import log_mel, mel_weights, of_length, read_wave


def read(below: Path, /, **table: object) -> SourceData:
    return source_of(table, where="task.toml [source]").read(below)


def refusal(below: Path, /, **table: object) -> TaskError:
    with pytest.raises(TaskError) as caught:
        read(below, **table)
    return caught.value


# -- drawing --------------------------------------------------------------------------------------------------------


def test_draws_are_disjoint_seeded_and_in_stored_order() -> None:
    draw = Draw(seed=3, evaluation=5, calibration=3, validation=2)
    taken = draw.indexes(20, "data")
    everything = np.concatenate(list(taken.values()))
    assert len(set(everything.tolist())) == 10
    assert all((np.diff(indexes) > 0).all() for indexes in taken.values())
    again = draw.indexes(20, "data")
    assert all((again[name] == indexes).all() for name, indexes in taken.items())
    other = Draw(seed=4, evaluation=5, calibration=3, validation=2).indexes(20, "data")
    assert any((other[name] != indexes).any() for name, indexes in taken.items())
    assert len(Draw(calibration=4).indexes(10, "data")["evaluation"]) == 6


@pytest.mark.parametrize("draw", [Draw(evaluation=8, calibration=3), Draw(calibration=10)])
def test_more_samples_than_there_are_cannot_be_drawn(draw: Draw) -> None:
    with pytest.raises(TaskError, match="10 samples"):
        draw.indexes(10, "data")


# -- pictures -------------------------------------------------------------------------------------------------------


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (12, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, colour).save(path)
    return path


def zoo(folder: Path, per_class: int = 4) -> Path:
    for number, name in enumerate(("cat", "dog", "owl")):
        for index in range(per_class):
            picture(folder / name / f"{index}.png", (10 * index, 80 * number, 5))
    return folder


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


# -- IDX ------------------------------------------------------------------------------------------------------------


def write_idx(path: Path, array: np.ndarray, *, zipped: bool = False) -> None:
    kinds = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, kinds[array.dtype.str[1:]], array.ndim, *array.shape)
    content = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_of_every_type_are_read(tmp_path: Path, dtype: str, zipped: bool) -> None:
    array = np.arange(24).reshape(4, 3, 2).astype(dtype)
    write_idx(tmp_path / "x", array, zipped=zipped)
    found = read_idx(tmp_path / "x")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"\1\0\x08\1\0\0\0\1a", b"\0\0\x08\1\0\0\0\2a", b"\x1f\x8bbroken", b"\0\0\x08\2\0\0"]
)
def test_files_that_are_no_idx_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(TaskError) as caught:
        read_idx(tmp_path / "x")
    assert caught.value.reason == "invalid_idx"


def test_idx_calibrates_on_the_training_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_idx(tmp_path / "test", rng.integers(0, 256, (10, 4, 4)).astype("u1"), zipped=True)
    write_idx(tmp_path / "test-labels", (np.arange(10) % 3).astype("u1"))
    train = rng.integers(0, 256, (30, 4, 4)).astype("u1")
    write_idx(tmp_path / "train", train)
    write_idx(tmp_path / "train-labels", (np.arange(30) % 3).astype("u1"))
    data = read(
        tmp_path,
        kind="idx",
        images="test",
        labels="test-labels",
        train_images="train",
        train_labels="train-labels",
        calibration_count=8,
        validation_count=5,
    )
    assert data.evaluation.sample_count == 10
    assert data.calibration is not None
    assert data.validation is not None
    assert (data.calibration.sample_count, data.validation.sample_count) == (8, 5)
    known = {row.tobytes() for row in train}
    assert all(row.tobytes() in known for row in data.calibration.inputs[""])


# -- rows and text --------------------------------------------------------------------------------------------------


def test_numeric_columns_become_features_and_targets(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,y,kind\n1,2,3.5,no\n4,5,6.5,yes\n7,8,9.5,no\n", encoding="utf-8")
    data = read(tmp_path, kind="table", file="rows.csv", features=["b", "a"], targets=["y"])
    np.testing.assert_array_equal(data.evaluation.inputs[""], np.array([[2, 1], [5, 4], [8, 7]], np.float32))
    assert data.evaluation.truth["targets"].ravel().tolist() == [3.5, 6.5, 9.5]
    labelled = read(tmp_path, kind="table", file="rows.csv", features=["a"], label="kind")
    assert (labelled.class_names, labelled.evaluation.truth["labels"].tolist()) == (("no", "yes"), [0, 1, 0])


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("r.csv", "a,b\n1\n", "line 2 has no 'b'"),
        ("r.csv", "a,b\n1,x\n", "b is 'x'"),
        ("r.csv", "a,b\n1,2,3\n", "line 2 has more fields"),
        ("r.csv", "a,b\n", "no rows"),
        ("r.jsonl", '{"a": 1, "b": 2}\n{"a": 1\n', "line 2 is no JSON"),
        ("r.jsonl", "[1]\n", "an object a line"),
        ("r.txt", "a,b\n1,2\n", "neither"),
    ],
)
def test_broken_rows_are_named_by_their_line(tmp_path: Path, name: str, content: str, match: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(TaskError, match=match):
        read(tmp_path, kind="table", file=name, features=["a", "b"])


def tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "very": 4}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(path))


def test_text_becomes_token_ids_cut_and_padded(tmp_path: Path) -> None:
    tokenizer(tmp_path / "tokenizer.json")
    rows = [{"text": "very good", "label": "pos"}, {"text": "bad bad bad bad bad", "label": "neg"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = read(
        tmp_path, kind="text", file="t.jsonl", tokenizer="tokenizer.json", label="label", max_length=4, types="type_ids"
    )
    assert data.evaluation.inputs["input_ids"].tolist() == [[4, 2, 0, 0], [3, 3, 3, 3]]
    assert data.evaluation.inputs["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert data.evaluation.inputs["type_ids"].dtype == np.int64
    assert data.class_names == ("neg", "pos")


def test_a_tokenizer_that_is_missing_or_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\na,0\n", encoding="utf-8")
    assert refusal(tmp_path, kind="text", file="t.csv", tokenizer="t.json", label="label").reason == "data_not_found"
    (tmp_path / "t.json").write_text("{}", encoding="utf-8")
    assert refusal(tmp_path, kind="text", file="t.csv", tokenizer="t.json", label="label").reason == "invalid_tokenizer"


# -- sound ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_waves_of_every_width_have_the_same_scale(tmp_path: Path, dtype: str) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / 8000)
    full = {"uint8": (127.0, 128), "int16": (32767.0, 0), "int32": (2147483647.0, 0), "float32": (1.0, 0)}[dtype]
    stored = (wave * full[0] + full[1]).astype(dtype)
    wavfile.write(tmp_path / "a.wav", 8000, np.stack([stored, stored], axis=1))
    found = read_wave(tmp_path / "a.wav", 8000, resample=False)
    np.testing.assert_allclose(found, wave, atol=0.02)
    with pytest.raises(TaskError, match="resample = true"):
        read_wave(tmp_path / "a.wav", 16000, resample=False)
    assert read_wave(tmp_path / "a.wav", 16000, resample=True).size == 1600


def test_the_middle_is_kept_and_silence_is_added_on_both_sides() -> None:
    wave = np.arange(1, 7, dtype=np.float32)
    assert of_length(wave, 4).tolist() == [2, 3, 4, 5]
    assert of_length(wave, 9).tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 0]


def test_a_tone_is_loudest_in_the_band_that_holds_it() -> None:
    rate, window = 8000, 512
    weights = mel_weights(rate, window, 24, 20.0, 4000.0)
    for frequency in (300.0, 1000.0, 2500.0):
        tone = np.sin(2 * np.pi * frequency * np.arange(4096) / rate).astype(np.float32)
        features = log_mel(tone, weights, window=window, hop=128)
        assert features.shape == (1 + (4096 - 512) // 128, 24)
        centres = weights @ np.linspace(0, rate / 2, window // 2 + 1) / weights.sum(axis=1)
        assert abs(centres[features.mean(axis=0).argmax()] - frequency) < 0.2 * frequency


def test_recordings_come_from_folders_of_their_class(tmp_path: Path) -> None:
    for name in ("off", "on"):
        (tmp_path / name).mkdir()
        for index in range(3):
            wavfile.write(tmp_path / name / f"{index}.wav", 8000, np.full(900 + index, 1000, np.int16))
    data = read(tmp_path, kind="wav", sample_rate=8000, samples=800, calibration_count=2)
    assert data.evaluation.inputs[""].shape == (4, 800)
    mel = read(tmp_path, kind="wav", sample_rate=8000, samples=800, features="log-mel", window=200, hop=100, mels=10)
    assert mel.evaluation.inputs[""].shape == (6, 7, 10)
    (tmp_path / "on/0.wav").write_bytes(b"RIFFnothing")
    assert refusal(tmp_path, kind="wav", sample_rate=8000, samples=800).reason == "invalid_wav"


# -- a function -----------------------------------------------------------------------------------------------------


def test_a_function_gives_splits(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x = np.arange(12, dtype=np.float32).reshape(6, 2)\n"
        "    return {'evaluation': (x[:4], np.array([0, 1, 0, 1])), 'calibration': x[4:]}\n",
        encoding="utf-8",
    )
    data = read(tmp_path, kind="python", file="mine.py")
    assert data.evaluation.truth["labels"].tolist() == [0, 1, 0, 1]
    assert data.calibration is not None
    assert data.calibration.sample_count == 2
    assert len(str(data.drawn["sha256"])) == 64


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("def load():\n    raise RuntimeError('no disk')", "no disk"),
        ("1 / 0", "ZeroDivisionError"),
        ("load = 3", "no function 'load'"),
        ("def load():\n    return [1]", "returns list"),
        ("def load():\n    return {'evaluation': [1], 'train': [2]}", "evaluation, train"),
        ("def load():\n    return {'evaluation': (object(), [1])}", "no array"),
    ],
)
def test_functions_that_fail_are_named(tmp_path: Path, body: str, match: str) -> None:
    (tmp_path / "mine.py").write_text(body, encoding="utf-8")
    with pytest.raises(TaskError, match=match):
        read(tmp_path, kind="python", file="mine.py")


# -- tables of a task file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "reason", "match"),
    [
        ({"kind": "image"}, "unknown_source", "did you mean 'images'"),
        ({}, "unknown_source", "known: "),
        ({"kind": "images", "folders": "x"}, "unknown_key", "did you mean 'folder'"),
        ({"kind": "idx", "images": "x"}, "missing_key", "'labels'"),
        ({"kind": "images", "seed": "1"}, "invalid_setting", "seed is '1'"),
        ({"kind": "images", "evaluation_count": -1}, "invalid_setting", "evaluation_count is -1"),
        ({"kind": "wav", "sample_rate": 0, "samples": 4}, "invalid_setting", "sample_rate is 0"),
        ({"kind": "text", "file": "a", "tokenizer": "b", "dtype": "int8"}, "invalid_setting", "int64"),
    ],
)
def test_sources_that_make_no_sense_are_refused(
    tmp_path: Path, table: dict[str, object], reason: str, match: str
) -> None:
    with pytest.raises(TaskError, match=match) as caught:
        source_of(table, where="task.toml [source]").read(zoo(tmp_path))
    assert caught.value.reason == reason


def test_a_task_file_with_a_source_is_loaded_whole(tmp_path: Path) -> None:
    zoo(tmp_path / "photos")
    (tmp_path / "zoo.toml").write_text(
        'name = "zoo"\n[source]\nkind = "images"\nfolder = "photos"\ncalibration_count = 4\n'
        '[source.geometry]\nsize = [6, 6]\n[preprocess]\ndivide = 255.0\nlayout = "NCHW"\n[metric]\nkind = "top5"\n',
        encoding="utf-8",
    )
    assert load_task(tmp_path / "zoo.toml").calibration is not None
    for path in (tmp_path / "photos").rglob("*.png"):
        picture(path, (7, 7, 7))
    with pytest.raises(TaskError, match="also evaluation samples"):
        load_task(tmp_path / "zoo.toml")
    zoo(tmp_path / "photos")
    task = load_task(tmp_path / "zoo.toml")
    assert task.model_spec("") == (np.dtype(np.float32), (3, 6, 6))
    assert task.metric.kind == "top5"
    assert task.drawn["calibration_count"] == 4
    assert set(source_kinds()) >= {"images", "idx", "text", "table", "wav", "coco", "masks", "python"}
