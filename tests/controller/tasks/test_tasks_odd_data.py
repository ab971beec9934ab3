"""Data that looks right and is not: each kind refused in a sentence that names it, nothing taken as something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.tasks.checks import check_fits
from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task
from steelyard.tasks.sources.rows import read_rows
from steelyard_protocol.v1 import common_pb2

_SIGNATURE = common_pb2.Signature(
    inputs=[common_pb2.TensorSpec(name="x", dtype="float32", dimensions=[common_pb2.Dimension(symbol="N")] * 2)],
    outputs=[
        common_pb2.TensorSpec(
            name="y", dtype="float32", dimensions=[common_pb2.Dimension(symbol="N"), common_pb2.Dimension(size=4)]
        )
    ],
)


def _stored(folder: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.standard_normal((8, 3)).astype(np.float32), "y": np.arange(8) % 4}
    np.savez(folder / "data.npz", **(arrays | changes))
    return folder / "data.npz"


def _described(folder: Path, text: str) -> Path:
    _stored(folder)
    (folder / "task.toml").write_text(text, encoding="utf-8")
    return folder / "task.toml"


def _refusal(path: Path) -> TaskError:
    with pytest.raises(TaskError) as caught:
        check_fits(load_task(path), _SIGNATURE)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_label_beyond_64_bits_is_no_class_and_does_not_become_minus_one(tmp_path: Path) -> None:
    error = _refusal(_stored(tmp_path, y=np.full(8, 2**64 - 1, dtype=np.uint64)))
    assert error.reason == "invalid_labels"
    assert str(2**64 - 1) in str(error)


def test_calibration_samples_of_another_dtype_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    error = _refusal(_stored(tmp_path, x_calib=np.ones((2, 3))))
    assert (error.reason, "calibration samples" in str(error)) == ("dtype_mismatch", True)


def test_a_zero_with_a_sign_is_the_same_sample(tmp_path: Path) -> None:
    zeros = np.zeros((1, 3), dtype=np.float32)
    assert _refusal(_stored(tmp_path, x=zeros, y=np.zeros(1, dtype=int), x_calib=-zeros)).reason == "shared_samples"


@pytest.mark.parametrize("value", ["1e-320", "1e300"])
def test_what_float32_cannot_divide_by_is_refused(value: str, tmp_path: Path) -> None:
    text = f'name = "t"\ndata = "data.npz"\n[evaluation]\ninputs = "x"\nlabels = "y"\n[preprocess]\ndivide = {value}\n'
    assert "float32 cannot" in str(_refusal(_described(tmp_path, text)))


@pytest.mark.parametrize(("metric", "k"), [("top5", 5), ("topk", 4)])
def test_as_many_highest_classes_as_there_are_say_nothing(metric: str, k: int, tmp_path: Path) -> None:
    setting = f"k = {k}\n" if metric == "topk" else ""
    text = 'name = "t"\ndata = "data.npz"\n[evaluation]\ninputs = "x"\nlabels = "y"\n[metric]\n'
    error = _refusal(_described(tmp_path, f'{text}kind = "{metric}"\n{setting}'))
    assert (error.reason, f"the {k} highest" in str(error)) == ("k_too_large", True)


def test_a_table_of_no_inputs_is_refused(tmp_path: Path) -> None:
    text = 'name = "t"\ndata = "data.npz"\n[evaluation]\ninputs = {}\nlabels = "y"\n'
    assert "'inputs' is empty" in str(_refusal(_described(tmp_path, text)))


def test_a_function_that_exits_ends_no_command_of_ours(tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("import sys\ndef load():\n    sys.exit(0)\n")
    text = 'name = "t"\n[source]\nkind = "python"\nfile = "make.py"\n'
    assert "SystemExit" in str(_refusal(_described(tmp_path, text)))


@pytest.mark.parametrize("box", [[1, 2, -3, 4], [1, 2, float("nan"), 4], [1, 2, 3]])
def test_a_box_that_is_none_is_named_and_not_left_out(box: list[float], tmp_path: Path) -> None:
    annotations = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": box}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(annotations))
    text = 'name = "t"\n[source]\nkind = "coco"\nannotations = "boxes.json"\nimages = "."\n[metric]\nkind = "map"\n'
    error = _refusal(_described(tmp_path, text + 'decode = "yolo"\n'))
    assert (error.reason, "annotation 7" in str(error)) == ("invalid_annotation", True)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,a,label\n1,2,0\n")
    with pytest.raises(TaskError, match="the column 'a' twice"):
        read_rows(tmp_path / "rows.csv", ("a", "label"))


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\x0b", "\n"])
def test_marks_within_a_text_do_not_end_its_row(mark: str, tmp_path: Path) -> None:
    told = f"one{mark}two"
    (tmp_path / "rows.csv").write_text(f'text,label\n"{told}",0\nthree,1\n', encoding="utf-8", newline="")
    lines = [{"text": told, "label": 0}, {"text": "three", "label": 1}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in lines), "utf-8")
    for name in ("rows.csv", "rows.jsonl"):
        assert [row["text"] for row in read_rows(tmp_path / name, ("text", "label"))] == [told, "three"]
