from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.gate.pairs import pair_models


def put(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_onnx", ".onnx").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_two_models_are_one_pair(tmp_path: Path) -> None:
    (pair,) = pair_models("base.onnx", "build/head.onnx").pairs

    assert (pair.name, pair.base, pair.head) == ("head", "base.onnx", "build/head.onnx")


def test_models_of_two_folders_are_paired_by_their_paths(tmp_path: Path) -> None:
    base = put(tmp_path / "base", a_onnx="1", same_onnx="=", gone_onnx="1", notes_txt="x", deep__b_onnx="1")
    head = put(tmp_path / "head", a_onnx="2", same_onnx="=", new_onnx="1", notes_txt="y", deep__b_onnx="2")

    found = pair_models(str(base), str(head))

    assert [pair.name for pair in found.pairs] == ["a.onnx", "deep/b.onnx"]
    assert (found.same, found.only_base, found.only_head) == (("same.onnx",), ("gone.onnx",), ("new.onnx",))


def test_a_folder_and_a_file_are_no_pair(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two models or two folders"):
        pair_models(str(put(tmp_path / "base", a_onnx="1")), "head.onnx")


def test_a_head_without_models_is_refused(tmp_path: Path) -> None:
    base, head = put(tmp_path / "base", a_onnx="1"), put(tmp_path / "head", notes_txt="x")

    with pytest.raises(UsageError, match=r"holds no \.onnx or \.tflite file"):
        pair_models(str(base), str(head))


def test_a_folder_of_everything_is_refused(tmp_path: Path) -> None:
    many = {f"m{number}_onnx": "1" for number in range(101)}
    base, head = put(tmp_path / "base", **many), put(tmp_path / "head", **dict.fromkeys(many, "2"))

    with pytest.raises(UsageError, match="101 models differ"):
        pair_models(str(base), str(head))
