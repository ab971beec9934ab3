"""An empty database of this program's schema, made once: a test that begins with one copies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.store.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    Store(path).close()
    return path.read_bytes()


@pytest.fixture
def database_path(tmp_path: Path, empty_database: bytes) -> Path:
    path = tmp_path / "store.db"
    path.write_bytes(empty_database)
    return path
