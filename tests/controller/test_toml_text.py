from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.compress.parts.parts_file import load_parts
from steelyard.compress.recipe_text import parse_recipe
from steelyard.errors import SteelyardError
from steelyard.settings import load_settings
from steelyard.suites.errors import Problems
from steelyard.suites.inheritance import load_tables
from steelyard.tasks.task_file import parse_task_file
from steelyard.toml_text import parse_toml

# Ten times as deep as Python lets itself go; an integer that Python refuses to read.
TOO_DEEP, TOO_LONG = "a = " + "[" * 10_000, "a = " + "9" * 5_000


def test_a_table_comes_back() -> None:
    assert parse_toml('a = [1, "b"]') == {"a": [1, "b"]}


@pytest.mark.parametrize("text", [TOO_DEEP, TOO_LONG, "a = ["], ids=["deep", "long", "open"])
def test_every_reader_refuses_what_is_no_toml_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "steelyard.toml"
    path.write_text(text)
    readers = [
        lambda: parse_recipe(text),
        lambda: parse_task_file(text, source=path),
        lambda: load_parts(path),
        lambda: load_settings({}, environ={}, cwd=tmp_path, user_file=tmp_path / "none.toml"),
        lambda: load_tables(path, {}, Problems()),
    ]
    for read in readers:
        with pytest.raises(SteelyardError, match="TOML"):
            read()
