"""Parts files are read, and every mistake is named before a model is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.parts.parts_file import load_parts
from steelyard.compress.parts.sources import FixedInput, GreedyInput, PartOutput, StateInput, TaskInput
from steelyard.control.compress_parts import recipes_by_part
from steelyard.errors import UsageError

_GOOD = """
name = "two"
[answer]
output = "b.y"
steps = "last"
[[parts]]
name = "a"
file = "a.onnx"
inputs = { x = { task = "wave", window = 576, hop = 512 } }
[[parts]]
name = "b"
file = "b.onnx"
steps = 3
[parts.inputs]
h = { output = "a.h", each_step = true }
s = { state = "s_out", initial = 0.5, shape = [2, 1, 4] }
t = { greedy = "y", first = 1 }
r = { value = 16000 }
"""


def _load(tmp_path: Path, text: str):
    path = tmp_path / "parts.toml"
    path.write_text(text, encoding="utf-8")
    return load_parts(path)


def test_every_kind_of_source_is_read(tmp_path: Path) -> None:
    file = _load(tmp_path, _GOOD)
    first, second = file.parts
    assert first.file == tmp_path / "a.onnx"
    assert first.inputs["x"] == TaskInput(name="wave", window=576, hop=512)
    assert second.step_count == 3
    assert second.inputs == {
        "h": PartOutput(part="a", output="h", each_step=True),
        "s": StateInput(output="s_out", initial=0.5, shape=(2, 1, 4)),
        "t": GreedyInput(output="y", first=1),
        "r": FixedInput(value=16000),
    }
    assert (file.answer.part, file.answer.output, file.steps) == ("b", "y", "last")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "two"', 'nam = "two"', "unknown key 'nam'; did you mean 'name'"),
        ('name = "two"', "", "lacks the key 'name'"),
        ('steps = "last"', 'steps = "lst"', "steps is 'lst'; did you mean 'last'"),
        ('output = "b.y"', 'output = "y"', "names 'y'; write PART.OUTPUT"),
        ('output = "b.y"', 'output = "c.y"', "the answer is of the part 'c'"),
        ("steps = 3", "steps = -1", "steps is -1"),
        ("hop = 512", "hop = 0", "hop 0"),
        ("hop = 512", "hopp = 512", "did you mean 'hop'"),
        ("initial = 0.5", 'initial = "zero"', "initial is 'zero'"),
        ("shape = [2, 1, 4]", "shape = [2, -1]", r"shape is \[2, -1\]"),
        ("r = { value = 16000 }", "r = 16000", "is 16000; write one of task, value, output, state, greedy"),
        ("{ value = 16000 }", '{ value = 1, task = "r" }', "write one of"),
        ('output = "a.h"', 'output = "b.h"', "takes an output of 'b', and before it run a"),
        ('name = "b"', 'name = "a"', "two parts are called 'a'|takes an output"),
        ("each_step = true", "each_step = 1", "write true or false"),
        ('name = "a"', 'name = "../a"', "name is '../a'; use letters"),
        ("[answer]", "[answer", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in _GOOD
    with pytest.raises(CompressionInputError, match=sentence):
        _load(tmp_path, _GOOD.replace(old, new, 1))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError, match=r"there is no file .*none\.toml"):
        load_parts(tmp_path / "none.toml")


def test_recipes_are_for_a_part_or_for_all_others(tmp_path: Path) -> None:
    file = _load(tmp_path, _GOOD)
    assert recipes_by_part(file, ["static-int8"]) == {"a": "static-int8", "b": "static-int8"}
    assert recipes_by_part(file, ["static-int8", "b=dynamic-int8"]) == {"a": "static-int8", "b": "dynamic-int8"}
    assert recipes_by_part(file, ["b=static-int8,per_channel=false"]) == {"b": "static-int8,per_channel=false"}


@pytest.mark.parametrize(
    ("recipes", "sentence"),
    [
        (["c=float16"], "is for no part"),
        (["a=float16", "a=static-int8"], "has the recipes 'float16' and 'static-int8'"),
        (["float16", "static-int8"], "both for every part"),
    ],
)
def test_recipes_that_contradict_are_refused(tmp_path: Path, recipes: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        recipes_by_part(_load(tmp_path, _GOOD), recipes)
