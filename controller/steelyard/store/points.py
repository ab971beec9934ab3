"""What nights measured, point by point; each method is one transaction. Reached as ``Store.nightly.points``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select

from steelyard.errors import NotFoundError, UsageError
from steelyard.store import environments, night_rows, series_rows
from steelyard.store.database import Database
from steelyard.store.kept_values import LARGEST_COUNT, require_count, require_finite
from steelyard.store.nightly_schema import points, series
from steelyard.store.paging import fetch_page
from steelyard.store.schema import jobs
from steelyard_protocol.v1 import nightly_pb2

MAX_POINTS = 2000
_OPTIONAL: tuple[Literal["value", "low", "high", "sentinel"], ...] = ("value", "low", "high", "sentinel")
_TOLD = (*points.c, jobs.c.job_id)


class Points:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, request: nightly_pb2.RecordPointsRequest) -> tuple[int, int]:
        """Record points of a night that is not over, all or none; return how many were new, and how many there already.

        What is there stays as it is, but a value or a text takes the place of a gap.

        Raises:
            NotFoundError: ``night_not_found`` or ``job_not_found``.
            UsageError: ``night_over``, ``too_many_points``, ``invalid_point``, or what is wrong with a text or number.
        """
        if len(request.points) > MAX_POINTS:
            raise UsageError("too_many_points", f"{len(request.points)} points at once are more than {MAX_POINTS}")
        with self._database.write() as connection:
            night = night_rows.running(connection, request.night_id)
            rows = _rows(connection, request, night)
            known = _known_gaps(connection, rows, night["night_number"])
            fresh = [row for number, row in rows.items() if number not in known or _fills(row, known[number])]
            # Of those, the gaps make room.
            mine = points.c.series_number.in_([row["series_number"] for row in fresh if row["series_number"] in known])
            connection.execute(delete(points).where(points.c.night_number == night["night_number"], mine))
            if fresh:
                connection.execute(insert(points), fresh)
            return len(fresh), len(request.points) - len(fresh)

    def page(
        self, series_id: int, up_to_night: int = 0, page_size: int = 0, page_token: str = ""
    ) -> tuple[list[nightly_pb2.Point], str]:
        """List the points of a series up to a night (0: all), the newest first, with the token of the next page.

        Raises:
            NotFoundError: ``series_not_found``.
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        query = _told().where(points.c.series_number == series_id)
        query = query.where(points.c.night_number <= min(up_to_night, LARGEST_COUNT)) if up_to_night else query
        with self._database.read() as connection:
            series_rows.by_numbers(connection, [series_id])
            rows, token = fetch_page(
                connection,
                query,
                points.c.night_number,
                page_size=page_size,
                page_token=page_token,
                newest_first=True,
            )
            return _messages(connection, rows), token

    def of_night(self, night_id: str, page_size: int = 0, page_token: str = "") -> tuple[list[nightly_pb2.Point], str]:
        """List what a night recorded in the order of the series, with the token of the next page.

        Raises:
            NotFoundError: ``night_not_found``.
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            night = night_rows.by_id(connection, night_id)
            number = night["night_number"]
            # Series first: they come in their order, and their points are found by their keys.
            query = select(series).where(
                series.c.suite_name == night["suite_name"],
                series.c.first_night <= number,
                series.c.last_night >= number,
            )
            rows, token = fetch_page(
                connection, query, series.c.number, page_size=page_size, page_token=page_token, newest_first=False
            )
            keys = {row["number"]: row for row in rows}
            mine = points.c.series_number.in_(list(keys)), points.c.night_number == number
            measured = connection.execute(_told().where(*mine).order_by(points.c.series_number)).mappings().all()
            found = _messages(connection, measured)
        for point in found:
            point.key.CopyFrom(series_rows.key_message(keys[point.series_id]))
        return found, token


def _told() -> Select[Any]:
    return select(*_TOLD).join_from(points, jobs, jobs.c.number == points.c.job_number, isouter=True)


def _rows(
    connection: Connection, request: nightly_pb2.RecordPointsRequest, night: RowMapping
) -> dict[int, dict[str, Any]]:
    """Return the row of each series that has a point in a request."""
    keys = [_checked(point, night["suite_name"], len(request.environments)) for point in request.points]
    numbers = series_rows.numbers_of(connection, night["suite_name"], keys, night["night_number"])
    kept = [0, *environments.keep(connection, [one.entries for one in request.environments])]
    said = {text for point in request.points for text in (point.text, point.gap_reason) if text}
    texts = environments.keep_texts(connection, said)
    job_numbers = _job_numbers(connection, {point.job_id for point in request.points if point.job_id})
    rows: dict[int, dict[str, Any]] = {}
    for key, point in zip(keys, request.points, strict=True):
        row: dict[str, Any] = {
            "series_number": numbers[key],
            "night_number": night["night_number"],
            **{name: getattr(point, name) if point.HasField(name) else None for name in _OPTIONAL},
            "text_number": texts.get(point.text),
            "gap_number": texts.get(point.gap_reason),
            "round_count": point.round_count,
            "environment_number": kept[point.environment_index] or None,
            "job_number": job_numbers.get(point.job_id),
        }
        if numbers[key] not in rows or _fills(row, is_gap=rows[numbers[key]]["gap_number"] is not None):
            rows[numbers[key]] = row
    return rows


def _checked(point: nightly_pb2.Point, suite_name: str, environment_count: int) -> series_rows.Key:
    """Return the key of a point that can be kept."""
    key = series_rows.key_of(point.key)
    words = f"{key.metric} of {key.model} on {key.device_id}"
    if point.key.suite_name not in {"", suite_name}:
        raise UsageError("invalid_point", f"{words} is of suite {point.key.suite_name[:80]!r}, not {suite_name!r}")
    if point.HasField("value") + bool(point.text) + bool(point.gap_reason) != 1:
        raise UsageError("invalid_point", f"{words} needs either a value, a text, or the reason of its gap")
    for name in _OPTIONAL:
        if point.HasField(name):
            require_finite(getattr(point, name), f"{name} of {words}")
    require_count(point.round_count, f"number of rounds of {words}")
    if point.environment_index > environment_count:
        raise UsageError("invalid_point", f"{words} names environment {point.environment_index} of {environment_count}")
    return key


def _job_numbers(connection: Connection, job_ids: Collection[str]) -> dict[str, int]:
    query = select(jobs.c.job_id, jobs.c.number).where(jobs.c.job_id.in_(sorted(job_ids)))
    found = {row.job_id: row.number for row in connection.execute(query)}
    missing = sorted(set(job_ids) - found.keys())
    if missing:
        raise NotFoundError("job_not_found", f"no job has the id {missing[0][:80]!r}, which a point names")
    return found


def _known_gaps(connection: Connection, numbers: Collection[int], night_number: int) -> dict[int, bool]:
    """Return the series that have a point already, and whether it is a gap."""
    mine = points.c.series_number.in_(list(numbers)), points.c.night_number == night_number
    query = select(points.c.series_number, points.c.gap_number).where(*mine)
    return {row.series_number: row.gap_number is not None for row in connection.execute(query)}


def _fills(row: dict[str, Any], is_gap: bool) -> bool:
    return is_gap and row["gap_number"] is None


def _messages(connection: Connection, rows: Sequence[RowMapping]) -> list[nightly_pb2.Point]:
    said = {number for row in rows for number in (row["text_number"], row["gap_number"]) if number is not None}
    texts = environments.texts_of(connection, said)
    return [
        nightly_pb2.Point(
            series_id=row["series_number"],
            night_number=row["night_number"],
            text=texts.get(row["text_number"], ""),
            gap_reason=texts.get(row["gap_number"], ""),
            round_count=row["round_count"],
            job_id=row["job_id"] or "",
            environment_id=row["environment_number"] or 0,
            **{name: row[name] for name in _OPTIONAL if row[name] is not None},
        )
        for row in rows
    ]
