"""A copy of a database while a controller writes it: SQLite's own backup, in one step, so that it ends."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from steelyard.store.errors import StoreError


def copy_database(source: Path, target: Path, *, busy_timeout_s: float = 30.0, place: Path | None = None) -> None:
    """Write a consistent copy of the database ``source`` to ``target``, which must not be there.

    All pages in one step: the copy holds a read lock of the write-ahead log, which keeps no writer waiting. In several
    steps SQLite begins anew after every commit of another program, and may never end (sqlite.org/backup.html).

    Raises:
        StoreError: ``snapshot_failed``; the sentence names ``place``, whose disk takes the copy (None: the folder).
    """
    try:
        reading = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout_s)
        try:
            writing = sqlite3.connect(target)
            try:
                reading.backup(writing)
                # One file, without a write-ahead log beside it.
                writing.execute("PRAGMA journal_mode = DELETE")
            finally:
                writing.close()
        finally:
            reading.close()
    except sqlite3.Error as error:
        raise StoreError(
            "snapshot_failed",
            f"the database {source} cannot be copied ({error}); check it and the free space of "
            f"{place or target.parent}",
        ) from error


def check_database(path: Path) -> None:
    """Let SQLite look at every page of a database.

    Raises:
        StoreError: ``store_damaged``.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise StoreError("store_damaged", f"the database {path} is damaged ({said}); take another copy")
