from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.plugins.files import files_in_use, forget_file


@pytest.fixture(autouse=True)
def nothing_in_use() -> Iterator[None]:
    """No plugin file outlives its test."""
    assert files_in_use() == ()
    yield
    for one in files_in_use():
        forget_file(one)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path for distributions of plugins."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    yield folder
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)
