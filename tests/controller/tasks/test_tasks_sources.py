"""Samples from files as people have them: each kind read, drawn by seed, and refused in a sentence when broken."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.idx import read_idx
from steelyard.tasks.sources.registry import source_kinds, source_of
from steelyard.tasks.sources.waves import log_mel, mel_weights, of_length, read_wave
from tests.controller.tasks.sources import picture, read, refusal, zoo

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
        training_count=17,
    )
    assert data.evaluation.sample_count == 10
    assert data.calibration is not None
    assert data.validation is not None
    assert (data.calibration.sample_count, data.validation.sample_count) == (8, 5)
    known = {row.tobytes() for row in train}
    assert all(row.tobytes() in known for row in data.calibration.inputs[""])
    assert data.training is not None
    assert data.training.truth["labels"].shape == (17,)
    drawn = [row.tobytes() for split in (data.calibration, data.validation, data.training) for row in split.inputs[""]]
    assert len(set(drawn)) == 30


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


@pytest.mark.parametrize("chunks", [b"", b"data\x00\x00\x00\x00", b"fmt "])
def test_a_damaged_wave_is_named(tmp_path: Path, chunks: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\x0c\x00\x00\x00WAVE" + chunks)
    with pytest.raises(TaskError, match="convert it to PCM WAV"):
        read_wave(tmp_path / "a.wav", 8000, resample=False)


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
