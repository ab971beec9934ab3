"""One SQLite connection: its settings, its transactions, and its failures as sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from steelyard.store.errors import StoreError

_BEGIN = "steelyard_begin"

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_mode = WAL",
    # In WAL mode NORMAL may lose the last commits when the power fails. An agent deletes a round once it is
    # acknowledged, so an acknowledged round must be on the disk: one flush a commit, shared by a batch.
    "PRAGMA synchronous = FULL",
    # On macOS fsync leaves data in the drive's cache; SQLite ignores this elsewhere (sqlite.org/pragma.html).
    "PRAGMA fullfsync = ON",
)

# Primary result codes (sqlite.org/rescode.html) -> reason, what to do.
_FAILURES = {
    sqlite3.SQLITE_FULL: ("disk_full", "free space on its disk and run the command again; what was recorded is safe"),
    sqlite3.SQLITE_READONLY: ("store_read_only", "make it and its folder writable, or name another state directory"),
    sqlite3.SQLITE_PERM: ("store_denied", "make it readable for this user, or name another state directory"),
    sqlite3.SQLITE_AUTH: ("store_denied", "make it readable for this user, or name another state directory"),
    sqlite3.SQLITE_CANTOPEN: ("store_unreachable", "check that its folder exists and is writable for this user"),
    sqlite3.SQLITE_CORRUPT: ("store_damaged", "restore a copy, or move it away to start with an empty one"),
    sqlite3.SQLITE_NOTADB: ("store_damaged", "restore a copy, or move it away to start with an empty one"),
    sqlite3.SQLITE_BUSY: ("store_busy", "end the other program that has it open and try again"),
    sqlite3.SQLITE_LOCKED: ("store_busy", "end the other program that has it open and try again"),
    sqlite3.SQLITE_IOERR: ("store_io_error", "check the disk (and its free space) before going on"),
    sqlite3.SQLITE_NOLFS: ("store_io_error", "move the state directory to a file system with large files"),
}


class Database:
    """A connection to one SQLite file, for the thread that made it; sqlite3 refuses every other thread."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = 5_000) -> None:
        self.path = path
        self._batch: Connection | None = None
        self._engine = create_engine("sqlite://", creator=_creator(path, busy_timeout_ms), poolclass=StaticPool)
        event.listen(self._engine, "begin", _begin)
        self._writer = self._engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give one consistent snapshot, or the batch's own view inside a batch."""
        if self._batch is not None:
            with _sentences(self.path):
                yield self._batch
        else:
            with _sentences(self.path), self._engine.begin() as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a transaction that is on the disk when the context ends; a savepoint inside a batch."""
        if self._batch is not None:
            with _sentences(self.path), self._batch.begin_nested():
                yield self._batch
        else:
            with _sentences(self.path), self._writer.begin() as connection:
                yield connection

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Let the transactions inside share one commit, on the disk when the context ends, or none of them."""
        with _sentences(self.path), self._writer.begin() as connection:
            self._batch = connection
            try:
                yield
            finally:
                self._batch = None

    def close(self) -> None:
        """Close the connection; SQLite folds the write-ahead log into the file."""
        self._engine.dispose()


def _creator(path: Path, busy_timeout_ms: int) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        # isolation_level None: sqlite3 begins no transaction of its own; we begin them (docs of sqlite3).
        connection = sqlite3.connect(path, timeout=busy_timeout_ms / 1000, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    return connect


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # Extended codes carry the primary one in their low byte. Broken SQL and constraints are bugs and stay bugs.
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code not in _FAILURES:
            raise
        reason, next_step = _FAILURES[code]
        raise StoreError(reason, f"the database {path} failed ({error.orig}): {next_step}") from error
