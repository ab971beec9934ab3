"""Suites over suites: tables and named items merge, paths stay where they were written, circles are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.suites.errors import Problems, SuiteError
from steelyard.suites.inheritance import merged
from steelyard.suites.substitution import substitute
from tests.controller.suites.suite_files import SMALL, read


def test_tables_merge_and_named_items_merge_by_name() -> None:
    base = {"suite": {"name": "a", "budget": "1h"}, "model": [{"name": "x", "file": "x"}, {"name": "y", "file": "y"}]}
    over = {"suite": {"name": "b"}, "model": [{"name": "y", "task": "t"}, {"name": "z", "file": "z"}]}
    assert merged(base, over) == {
        "suite": {"name": "b", "budget": "1h"},
        "model": [
            {"name": "x", "file": "x"},
            {"name": "y", "file": "y", "task": "t"},
            {"name": "z", "file": "z"},
        ],
    }


def test_other_lists_are_replaced() -> None:
    assert merged({"devices": {"names": ["a"]}}, {"devices": {"names": ["b"]}}) == {"devices": {"names": ["b"]}}


def test_a_suite_over_another_in_another_folder_keeps_both_folders_paths(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.toml").write_text(SMALL, encoding="utf-8")
    suite = read(
        tmp_path,
        '[suite]\nname = "mine"\nextends = "shared/base.toml"\n[[model]]\nname = "own"\nfile = "own.onnx"\n',
    )
    assert suite.name == "mine"
    assert [one.file for one in suite.models] == [tmp_path / "shared/keywords.onnx", tmp_path / "own.onnx"]
    assert [one.name for one in suite.sources] == ["night.toml", "base.toml"]


def test_an_inherited_model_is_left_out_by_enabled_false(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(SMALL, encoding="utf-8")
    text = '[suite]\nextends = "base.toml"\n[[model]]\nname = "keywords"\nenabled = false\n'
    suite = read(tmp_path, text + '[[model]]\nname = "own"\nfile = "own.onnx"\n')
    assert [one.name for one in suite.models] == ["own"]


def test_a_circle_is_refused_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[suite]\nextends = "night.toml"\n', encoding="utf-8")
    with pytest.raises(SuiteError, match=r"night.toml -> a.toml -> night.toml") as raised:
        read(tmp_path, '[suite]\nextends = "a.toml"\n')
    assert raised.value.reason == "suite_circle"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}/x", "one/x"),
        ("${B:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("costs $5", "costs $5"),
    ],
)
def test_the_environment_is_substituted(text: str, value: str) -> None:
    problems = Problems()
    assert substitute(text, {"A": "one", "EMPTY": ""}, "here", problems) == value
    problems.refuse()


def test_what_the_environment_lacks_is_named_with_its_place() -> None:
    problems = Problems()
    substitute({"url": "${A}", "more": ["${"]}, {}, "night.toml [notify.x]", problems)
    with pytest.raises(SuiteError) as raised:
        problems.refuse()
    assert [one.place for one in raised.value.problems] == ["night.toml [notify.x] url", "night.toml [notify.x] more"]
