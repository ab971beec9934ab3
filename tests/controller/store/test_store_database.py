from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from steelyard.errors import EXIT_INFRASTRUCTURE
from steelyard.store.database import Database
from steelyard.store.errors import StoreError
from steelyard.store.store import Store
from tests.controller.store import messages
from tests.controller.store.messages import digest_of


def run(store: Store, statement: str) -> object:
    """Say something to the store's own connection that no method says."""
    with store._database.read() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalar() if result.returns_rows else None


def test_the_settings_that_durability_rests_on_are_set(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    try:
        assert run(store, "PRAGMA journal_mode") == "wal"
        assert run(store, "PRAGMA synchronous") == 2
        assert run(store, "PRAGMA foreign_keys") == 1
        assert run(store, "PRAGMA busy_timeout") == 5000
    finally:
        store.close()


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    try:
        kept = store.put_artifact(messages.artifact())
        page_count = run(store, "PRAGMA page_count")
        run(store, f"PRAGMA max_page_count = {page_count}")

        def fill() -> None:
            for number in range(1000):
                store.put_artifact(messages.artifact("x" * 199, digest=digest_of(str(number))))

        with pytest.raises(StoreError, match=r"store\.db failed .*free space on its disk") as caught:
            fill()
        assert (caught.value.reason, caught.value.exit_code) == ("disk_full", EXIT_INFRASTRUCTURE)
        run(store, "PRAGMA max_page_count = 100000")
        assert store.find_artifact("resnet") == kept
        store.put_artifact(messages.artifact("after"))
    finally:
        store.close()


def test_a_read_only_database_is_said_and_still_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    try:
        kept = store.put_artifact(messages.artifact())
        run(store, "PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="make it and its folder writable") as caught:
            store.put_artifact(messages.artifact("other"))
        assert caught.value.reason == "store_read_only"
        assert store.find_artifact("resnet") == kept
    finally:
        store.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database, it is a letter" * 100)
    with pytest.raises(StoreError, match="restore a copy, or move it away") as caught:
        Store(path)
    assert caught.value.reason == "store_damaged"
    assert path.read_bytes().startswith(b"this is not")


def test_a_damaged_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(path)
    with store.batch():
        for number in range(200):
            store.put_artifact(messages.artifact(f"artifact {number}"))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.db failed") as caught:
        Store(path)
    assert caught.value.reason == "store_damaged"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check that its folder exists") as caught:
        Store(tmp_path / "nowhere" / "store.db")
    assert caught.value.reason == "store_unreachable"


def test_a_database_that_another_program_writes_is_said_to_be_busy(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = Database(path, busy_timeout_ms=0)
    try:
        with pytest.raises(StoreError, match="end the other program") as caught, database.write():
            pass
        assert caught.value.reason == "store_busy"
    finally:
        database.close()
        other.close()


def test_broken_sql_stays_a_bug(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    try:
        with pytest.raises(OperationalError):
            run(store, "SELECT nonsense")
    finally:
        store.close()


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    try:

        def fail_in_the_middle() -> None:
            with store.batch():
                store.put_artifact(messages.artifact("first"))
                assert store.find_artifact("first").name == "first"
                raise InterruptedError

        with pytest.raises(InterruptedError):
            fail_in_the_middle()
        assert store.list_artifacts() == ([], "")
        with store.batch():
            store.put_artifact(messages.artifact("first"))
            store.put_artifact(messages.artifact("second"))
        assert len(store.list_artifacts()[0]) == 2
    finally:
        store.close()
