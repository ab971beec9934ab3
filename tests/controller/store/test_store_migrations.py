from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from steelyard.store.database import Database
from steelyard.store.errors import StoreError
from steelyard.store.migrate import is_current, migrate
from steelyard.store.schema import metadata
from steelyard.store.store import Store
from tests.controller.store import messages

# The database of the first release as SQLite dumped it, with a row in it. Written once; a released revision is never
# edited, so this must open for good.
FIRST_RELEASE = Path(__file__).with_name("first_revision.sql")


def differences(path: Path) -> list[object]:
    database = Database(path)
    try:
        with database.read() as connection:
            assert is_current(connection)
            return list(compare_metadata(MigrationContext.configure(connection), metadata))
    finally:
        database.close()


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_an_empty_file_becomes_what_the_code_describes(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").close()
    assert differences(tmp_path / "store.db") == []


def test_a_database_of_the_first_release_becomes_the_same_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RELEASE.read_text())
    store = Store(path)
    try:
        assert store.find_artifact("resnet").digest == messages.artifact().digest
        assert store.controller_id("another") == "controller-of-the-first-release"
        assert [job.job_id for job in store.unfinished_jobs()] == ["job-0001"]
        assert len(store.list_rounds("job-0001")) == 1
        assert len(store.list_events("job-0001")) == 1
    finally:
        store.close()
    assert differences(path) == []


def test_points_of_a_database_that_kept_them_by_series_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    database = Database(path)
    with database.write() as connection:
        migrate(connection, path, revision="0011")
    database.close()
    columns = "series_number, night_number, value, text_number, gap_number, low, round_count"
    kept = [(number, night, night * 0.5, None, None, None, 3) for number in (1, 2) for night in (1, 2, 3)]
    with closing(sqlite3.connect(path)) as connection:
        keys = [(number, "shelf", f"m{number}", "d", "r", "p50", "ms", 1, 3, 0) for number in (1, 2)]
        connection.executemany("INSERT INTO series VALUES (?,?,?,?,?,?,?,?,?,?)", keys)
        connection.executemany(f"INSERT INTO points ({columns}) VALUES (?,?,?,?,?,?,?)", kept)
        connection.commit()
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(f"SELECT {columns} FROM points").fetchall()
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert found == sorted(kept, key=lambda row: (row[1], row[0]))
    assert differences(path) == []


def test_the_first_revision_still_makes_what_the_first_release_had(tmp_path: Path) -> None:
    def schema_of(path: Path) -> set[str]:
        with closing(sqlite3.connect(path)) as connection:
            return {str(row[0]) for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}

    database = Database(tmp_path / "now.db")
    with database.write() as connection:
        migrate(connection, tmp_path / "now.db", revision="0001")
    database.close()
    with closing(sqlite3.connect(tmp_path / "then.db")) as dumped:
        dumped.executescript(FIRST_RELEASE.read_text())
    assert schema_of(tmp_path / "now.db") == schema_of(tmp_path / "then.db")


def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    with pytest.raises(StoreError, match=r"store\.db has schema 0999 of a newer steelyard; upgrade this one") as caught:
        Store(path)
    assert caught.value.reason == "store_newer"


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (cake TEXT)")
    with pytest.raises(StoreError, match="was not made by steelyard") as caught:
        Store(path)
    assert caught.value.reason == "store_foreign"
    assert tables(path) == {"recipes"}


def test_a_migration_that_fails_leaves_no_table_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    database = Database(path)

    def migrate_and_fail() -> None:
        with database.write() as connection:
            migrate(connection, path)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        migrate_and_fail()
    database.close()
    assert tables(path) == set()
    Store(path).close()
    assert "rounds" in tables(path)


def test_a_folder_with_a_per_cent_sign_holds_a_database_too(tmp_path: Path) -> None:
    folder = tmp_path / "50% full"
    folder.mkdir()
    Store(folder / "store.db").close()
    assert "jobs" in tables(folder / "store.db")
