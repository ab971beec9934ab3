"""Series and their last values, many at once; each method is one transaction. Reached as ``Store.nightly.series``."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from steelyard.errors import UsageError
from steelyard.store import environments, series_rows
from steelyard.store.database import Database
from steelyard.store.kept_values import LARGEST_COUNT
from steelyard.store.nightly_schema import points, series
from steelyard.store.paging import DEFAULT_PAGE_SIZE, fetch_page
from steelyard_protocol.v1 import nightly_pb2

DEFAULT_LAST_COUNT = 64
MAX_LAST_COUNT = 4000
# A message of some megabytes, and the store's thread is free again after a fraction of a second.
MAX_VALUES_A_PAGE = 200_000
MAX_ENVIRONMENTS = 1000


class Histories:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def series(
        self, wanted: nightly_pb2.SeriesFilter, page_size: int = 0, page_token: str = ""
    ) -> tuple[list[nightly_pb2.Series], str]:
        """List the series that fit in the order in which they began, with the token of the next page.

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            return _series_page(connection, wanted, page_size, page_token)

    def page(self, request: nightly_pb2.ListHistoriesRequest) -> tuple[list[nightly_pb2.SeriesHistory], str]:
        """List the series that fit with their last values up to a night, with the token of the next page.

        Raises:
            UsageError: ``invalid_page_size``, ``invalid_page_token`` or ``invalid_last_count``.
        """
        last_count = request.last_count or DEFAULT_LAST_COUNT
        if last_count > MAX_LAST_COUNT:
            raise UsageError(
                "invalid_last_count", f"{last_count} nights of each series are more than {MAX_LAST_COUNT} at once"
            )
        most = MAX_VALUES_A_PAGE // last_count
        page_size = min(request.page_size or DEFAULT_PAGE_SIZE, most)
        up_to_night = min(request.up_to_night or LARGEST_COUNT, LARGEST_COUNT)
        with self._database.read() as connection:
            told, token = _series_page(connection, request.filter, page_size, request.page_token)
            values = _last_values(connection, [one.series_id for one in told], up_to_night, last_count)
            texts = environments.texts_of(connection, _text_numbers(values.values()))
        return [_history(one, values.get(one.series_id, []), texts) for one in told], token

    def environments(self, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
        """Return environments by their ids; ids that nobody knows are left out.

        Raises:
            UsageError: ``too_many_environments``.
        """
        if len(numbers) > MAX_ENVIRONMENTS:
            raise UsageError("too_many_environments", f"ask for {MAX_ENVIRONMENTS} environments at a time at most")
        with self._database.read() as connection:
            return environments.find(connection, numbers)


def _series_page(
    connection: Connection, wanted: nightly_pb2.SeriesFilter, page_size: int, page_token: str
) -> tuple[list[nightly_pb2.Series], str]:
    query = series_rows.chosen(wanted)
    rows, token = fetch_page(
        connection, query, series.c.number, page_size=page_size, page_token=page_token, newest_first=False
    )
    return series_rows.messages_of(connection, rows), token


def _last_values(
    connection: Connection, numbers: Sequence[int], up_to_night: int, last_count: int
) -> dict[int, list[Row[Any]]]:
    """Return the last values of each series, oldest first; the nights before them cost nothing.

    Series whose values begin with the same night are read together, each by its key. One statement for all, with each
    series' own beginning, is at the mercy of the planner: SQLite reads ten years of every series for it.
    """
    by_beginning: dict[int, list[int]] = {}
    for number, begins in connection.execute(_beginnings(numbers, up_to_night, last_count)):
        by_beginning.setdefault(begins, []).append(number)
    found: dict[int, list[Row[Any]]] = {}
    for begins, those in by_beginning.items():
        rows = connection.execute(_values(those, begins, up_to_night))
        found |= {number: list(own) for number, own in groupby(rows, key=itemgetter(0))}
    return found


def _beginnings(numbers: Sequence[int], up_to_night: int, last_count: int) -> Select[Any]:
    """Return the query of each series' night of the first of its last values, looked for from the end."""
    begins = (
        select(points.c.night_number)
        .where(points.c.series_number == series.c.number, points.c.night_number <= up_to_night)
        .where(points.c.gap_number.is_(None))
        .order_by(points.c.night_number.desc())
        .limit(1)
        .offset(last_count - 1)
        .scalar_subquery()
    )
    return select(series.c.number, func.coalesce(begins, 0)).where(series.c.number.in_(numbers))


def _values(numbers: Sequence[int], begins: int, up_to_night: int) -> Select[Any]:
    names = ("series_number", "night_number", "value", "sentinel", "environment_number", "text_number")
    return (
        select(*(points.c[name] for name in names))
        .where(points.c.series_number.in_(numbers), points.c.night_number.between(begins, up_to_night))
        .where(points.c.gap_number.is_(None))
        .order_by(points.c.series_number, points.c.night_number)
    )


def _text_numbers(groups: Iterable[Sequence[Sequence[Any]]]) -> set[int]:
    return {row[5] for rows in groups for row in rows if row[5] is not None}


def _history(
    told: nightly_pb2.Series, rows: Sequence[Sequence[Any]], texts: dict[int, str]
) -> nightly_pb2.SeriesHistory:
    nights = [row[1] for row in rows]
    history = nightly_pb2.SeriesHistory(
        series=told,
        night_numbers=nights,
        values=_known(row[2] for row in rows),
        sentinels=_known(row[3] for row in rows),
        environment_ids=[row[4] or 0 for row in rows],
        accepted_index=bisect_left(nights, told.accepted_night),
    )
    if any(row[5] is not None for row in rows):
        history.texts.extend(texts.get(row[5], "") for row in rows)
    return history


def _known(values: Iterable[float | None]) -> Iterator[float]:
    return (math.nan if one is None else one for one in values)
