"""Runtimes are found by name and by file, built in or by entry point."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import tomllib

from steelyard_agent.runtimes.lookup import (
    BUILT_IN,
    ENTRY_POINT_GROUP,
    find_runtime,
    runtime_name_for_file,
    runtime_names,
)
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


@pytest.fixture
def plugin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a distribution that brings one good and one broken runtime."""
    info = tmp_path / "odd_runtimes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-runtimes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nodd = odd_runtime:Odd\nbroken = odd_runtime:Gone\n")
    (tmp_path / "odd_runtime.py").write_text("class Odd:\n    name = 'odd'\n    suffixes = frozenset({'.odd'})\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("odd_runtime", None)


def test_the_built_in_runtimes_are_those_of_the_distribution() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"][ENTRY_POINT_GROUP] == BUILT_IN


@pytest.mark.parametrize(
    ("file", "name"), [("a.onnx", "onnxruntime"), ("A.TFLITE", "litert"), ("a.ort", "onnxruntime")]
)
def test_a_file_finds_its_runtime_by_suffix(file: str, name: str) -> None:
    assert runtime_name_for_file(Path(file)) == name


def test_a_suffix_that_nobody_runs_names_those_that_are() -> None:
    with pytest.raises(BlockFailure, match=r"'a\.h5' .*\.onnx.*\.tflite") as caught:
        runtime_name_for_file(Path("a.h5"))
    assert caught.value.status is BlockStatus.USER_ERROR


def test_an_unknown_name_names_those_that_are_known() -> None:
    with pytest.raises(BlockFailure, match="'magic'; known here: onnxruntime, litert") as caught:
        find_runtime("magic")
    assert caught.value.status is BlockStatus.RUNTIME_MISSING


def test_a_plugin_is_found_by_its_entry_point(plugin_folder: Path) -> None:
    assert set(runtime_names()) >= {"odd", "broken"}
    assert find_runtime("odd").name == "odd"


def test_a_broken_plugin_says_what_cannot_be_imported(plugin_folder: Path) -> None:
    with pytest.raises(BlockFailure, match="odd_runtime:Gone") as caught:
        find_runtime("broken")
    assert caught.value.reason == "broken_plugin"
