"""Which blobs the database names: whatever stands in it and looks like a digest counts, so that none is missed.

No list of columns and messages to keep true: a digest in a table or a message that is added next year is found, too.
A digest that is no blob's is harmless. Only the blobs of rounds name other blobs (the outputs of their blocks).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, LargeBinary, Select, String, Table, and_, column, inspect, or_, select, table

from steelyard.errors import NotFoundError
from steelyard.store import schema
from steelyard.store.database import Database
from steelyard.store.errors import StoreError
from steelyard.store.names import DIGEST_LENGTH

# Longer than a digest where the tag of a protobuf field before or after it happens to be a hexadecimal digit.
_RUNS = re.compile(rb"[0-9a-f]{64,}")
# Jobs whose samples were removed name their rounds and traces still: a device may ask what was recorded.
_LET_GO: Mapping[str, Table] = MappingProxyType({"rounds": schema.rounds, "traces": schema.traces})
_ROWS_AT_ONCE = 500


def digests_in(content: bytes) -> Iterator[str]:
    """Yield everything in ``content`` that may be a digest."""
    for run in _RUNS.finditer(content):
        text = run.group().decode()
        for start in range(len(text) - DIGEST_LENGTH + 1):
            yield text[start : start + DIGEST_LENGTH]


def find_referenced(
    path: Path, candidates: Collection[str], read: Callable[[str], bytes], *, let_go: Collection[str] = frozenset()
) -> set[str]:
    """Return those of ``candidates`` that the database names, or a round that it names.

    Opens the file anew, so that it may run in any thread beside the store's; it sees one snapshot.

    Args:
        path: The database of a store that is open, or was.
        candidates: Digests of blobs.
        read: Returns a blob; raises NotFoundError or StoreError when it cannot be had.
        let_go: Ids of jobs whose rounds and traces do not count, as if their samples had been removed.

    Raises:
        StoreError: The database failed.
    """
    database = Database(path)
    try:
        with database.read() as connection:
            wanted = set(candidates)
            found = _named_in_tables(connection, wanted, let_go)
            # Rounds are the bulk of the bytes: read only as long as something is not yet known to be named.
            for digest in _round_digests(connection, let_go):
                if len(found) == len(wanted):
                    break
                try:
                    found |= wanted.intersection(digests_in(read(digest)))
                except (NotFoundError, StoreError):
                    # A damaged or missing round names nothing any more.
                    continue
            return found
    finally:
        database.close()


def _named_in_tables(connection: Connection, wanted: set[str], let_go: Collection[str]) -> set[str]:
    found: set[str] = set()
    inspector = inspect(connection)
    for name in inspector.get_table_names():
        typed = [one for one in inspector.get_columns(name) if isinstance(one["type"], (String, LargeBinary))]
        if not typed:
            continue
        rows = table(name, *(column(one["name"], one["type"]) for one in typed))
        query = select(rows) if name not in _LET_GO else _kept(name, let_go)
        for row in connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query):
            for value in row:
                if isinstance(value, (str, bytes)):
                    content = value.encode() if isinstance(value, str) else value
                    found |= wanted.intersection(digests_in(content))
    return found


def _round_digests(connection: Connection, let_go: Collection[str]) -> list[str]:
    return list(connection.scalars(_kept("rounds", let_go).with_only_columns(schema.rounds.c.result_digest)))


def _kept(name: str, let_go: Collection[str]) -> Select[Any]:
    rows, removed = _LET_GO[name], schema.removed_samples
    # What reached a job after its samples were removed was not removed with them.
    joined = rows.outerjoin(removed, rows.c.job_id == removed.c.job_id)
    late = and_(removed.c.job_id.is_not(None), rows.c.recorded_at_ns > removed.c.removed_at_ns)
    query = select(rows).select_from(joined).where(or_(removed.c.job_id.is_(None), late))
    return query.where(rows.c.job_id.not_in(sorted(let_go)))
