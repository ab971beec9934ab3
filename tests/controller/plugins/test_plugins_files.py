"""Plugin files: read as they are, used where they were named, refused in a sentence with their path."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from steelyard.compress.errors import CompressionError, RecipeError
from steelyard.compress.recipe_text import load_recipe, parse_recipe
from steelyard.compress.registry import all_step_kinds, step_class, step_kinds, step_plugin
from steelyard.plugins.errors import PluginError
from steelyard.plugins.files import files_in_use, forget_file, paths_in_use, plugin_files, use_file
from tests.controller.plugins.files import COPY_STEP, SHIFT_OPERATION, write_plugin

STEPS = '{"steps": [Copy]}'


def test_a_step_of_a_file_is_known_while_the_file_is_in_use(tmp_path: Path) -> None:
    path = write_plugin(tmp_path / "copy.py", COPY_STEP, listed=STEPS)
    used = use_file(path)
    recipe = load_recipe("copy-model,times=3+float16")
    assert recipe.name == "copy-model,times=3+float16"
    assert parse_recipe(recipe.to_toml()) == recipe
    assert "copy-model" in all_step_kinds()
    assert "copy-model" not in step_kinds()
    assert step_plugin("copy-model") == f"copy.py 1.2 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert step_plugin("float16") == ""
    forget_file(used)
    with pytest.raises(RecipeError, match=r"no step of kind 'copy-model'.*--plugin"):
        step_class("copy-model")


def test_the_same_file_gives_the_same_class_and_a_changed_one_another(tmp_path: Path) -> None:
    path = write_plugin(tmp_path / "copy.py", COPY_STEP, listed=STEPS)
    use_file(path)
    first, told = step_class("copy-model"), step_plugin("copy-model")
    use_file(path)
    assert step_class("copy-model") is first
    assert first(times=2) == first(times=2)
    # As long as before, and within the same second: a cache by time and size would not see it.
    write_plugin(path, COPY_STEP.replace("times: int = 1", "times: int = 7"), listed=STEPS)
    use_file(path)
    assert step_class("copy-model")().times == 7
    assert step_plugin("copy-model") != told
    assert len(files_in_use()) == 1


def test_files_of_a_request_are_for_that_request_alone(tmp_path: Path) -> None:
    mine = write_plugin(tmp_path / "mine.py", COPY_STEP, listed=STEPS)
    theirs = write_plugin(tmp_path / "theirs.py", COPY_STEP.replace("times: int = 1", "times: int = 5"), listed=STEPS)
    seen = {}

    def other() -> None:
        with plugin_files([theirs]):
            seen["times"] = step_class("copy-model")().times

    with plugin_files([mine]):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert step_class("copy-model")().times == 1
        assert paths_in_use() == (str(mine),)
    assert seen == {"times": 5}
    assert paths_in_use() == ()


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        ("import nothing_of_this_name", "broken_plugin", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "broken_plugin", "SystemExit: 3"),
        ("def broken(:", "broken_plugin", "SyntaxError"),
        ("x = 1", "bad_plugin", "lists nothing"),
        ("STEELYARD_PLUGIN = {'step': []}", "bad_plugin", "did you mean 'steps'"),
        ("STEELYARD_PLUGIN = {'steps': 3}", "bad_plugin", "write a list of classes"),
        ("STEELYARD_PLUGIN = {'steps': [print]}", "bad_plugin", "which is no class"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused_by_name(tmp_path: Path, content: str, reason: str, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(PluginError) as caught:
        use_file(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert files_in_use() == ()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("frozen=True, ", "", "no frozen dataclass"),
        ('kind: ClassVar[str] = "copy-model"', 'kind: ClassVar[str] = "Copy It"', "use lower-case letters"),
        ("times: int = 1", "times: int", "'times' without a default"),
        ("frozenset({FLOAT32})", 'frozenset({"float33"})', "accepts ['float33']"),
        ("= SAME_FORM", '= "mush"', "produces 'mush'"),
        ("frozenset({ONNX})", "frozenset()", "works on the formats"),
        ("needs_float_ancestor: ClassVar[bool] = False", "", "has no 'needs_float_ancestor'"),
        ("def apply", "def run", "has no method 'apply'"),
        ('kind: ClassVar[str] = "copy-model"', 'kind: ClassVar[str] = "float16"', "a name that Steelyard has"),
    ],
)
def test_a_step_that_keeps_no_contract_is_refused_by_name(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in COPY_STEP
    path = write_plugin(tmp_path / "mine.py", COPY_STEP.replace(before, after, 1), listed=STEPS)
    with pytest.raises(PluginError) as caught:
        use_file(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_two_files_cannot_bring_the_same_kind(tmp_path: Path) -> None:
    use_file(write_plugin(tmp_path / "a.py", COPY_STEP, listed=STEPS))
    with pytest.raises(PluginError, match=r"b\.py has a name that the plugin .*a\.py has") as caught:
        use_file(write_plugin(tmp_path / "b.py", COPY_STEP, listed=STEPS))
    assert caught.value.reason == "plugin_name_taken"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no plugin file .*gone\.py") as caught:
        use_file(tmp_path / "gone.py")
    assert caught.value.reason == "plugin_not_found"
    with pytest.raises(PluginError, match="no plugin file"):
        use_file(tmp_path)


def test_a_step_that_cannot_be_made_names_its_plugin(tmp_path: Path) -> None:
    broken = COPY_STEP + "\n    def __post_init__(self):\n        1 / 0\n"
    path = write_plugin(tmp_path / "mine.py", broken, listed=STEPS)
    use_file(path)
    with pytest.raises(CompressionError, match=r"step 'copy-model' of plugin mine\.py .*ZeroDivisionError") as caught:
        load_recipe("copy-model")
    assert caught.value.reason == "plugin_failed"


def test_a_file_may_bring_several_roles(tmp_path: Path) -> None:
    path = write_plugin(
        tmp_path / "both.py", COPY_STEP, SHIFT_OPERATION, listed='{"steps": [Copy], "preprocessing": [Shift]}'
    )
    classes = use_file(path).classes
    assert {role: list(kinds) for role, kinds in classes.items()} == {
        "steps": ["copy-model"],
        "preprocessing": ["shift"],
    }
