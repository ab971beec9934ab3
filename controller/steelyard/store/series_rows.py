"""Rows of series and of their marks. Every function runs inside the transaction that it is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, Select, insert, select, tuple_, update

from steelyard.errors import NotFoundError
from steelyard.store.kept_values import require_text
from steelyard.store.names import require_identifier, require_name
from steelyard.store.nightly_schema import nights, series, series_marks
from steelyard.store.schema import devices
from steelyard_protocol.v1 import nightly_pb2

ACCEPTED = "accepted"
DEVICE_REPLACED = "device_replaced"
_RUNNING = nightly_pb2.NIGHT_STATE_RUNNING
_MAX_UNIT_CHARACTERS = 40


class Key(NamedTuple):
    """What makes a series of a suite; its fields are columns."""

    model: str
    device_id: str
    runtime: str
    metric: str
    unit: str


_KEY_COLUMNS = tuple(series.c[name] for name in Key._fields)


def key_of(message: nightly_pb2.SeriesKey) -> Key:
    """Return a key that can be kept.

    Raises:
        UsageError: ``invalid_name``, ``invalid_identifier`` or ``invalid_text``.
    """
    return Key(
        model=require_name(message.model, "model of a series:"),
        device_id=require_identifier(message.device_id, "device id of a series"),
        runtime=require_name(message.runtime, "runtime of a series:"),
        metric=require_name(message.metric, "metric of a series:"),
        unit=require_text(message.unit, "unit of a series", most=_MAX_UNIT_CHARACTERS),
    )


def numbers_of(connection: Connection, suite_name: str, keys: Collection[Key], night_number: int) -> dict[Key, int]:
    """Return the numbers of a suite's series that have a point in a night; those that are new are made."""
    found = _known(connection, suite_name, keys)
    missing = [key for key in dict.fromkeys(keys) if key not in found]
    if missing:
        values = {"suite_name": suite_name, "accepted_night": 0}
        nights_of = {"first_night": night_number, "last_night": night_number}
        connection.execute(insert(series), [{**values, **nights_of, **key._asdict()} for key in missing])
        found |= _known(connection, suite_name, missing)
    mine = series.c.number.in_(sorted(found.values()))
    later = update(series).where(mine, series.c.last_night < night_number).values(last_night=night_number)
    connection.execute(later)
    return found


def chosen(wanted: nightly_pb2.SeriesFilter) -> Select[Any]:
    """Return the query of the series that fit."""
    query = select(series)
    for name in ("suite_name", "model", "device_id", "runtime", "metric"):
        value = getattr(wanted, name)
        query = query.where(series.c[name] == value) if value else query
    if wanted.alive_since_night:
        query = query.where(series.c.last_night >= wanted.alive_since_night)
    return query


def by_numbers(connection: Connection, numbers: Sequence[int]) -> list[RowMapping]:
    """Return series by their numbers.

    Raises:
        NotFoundError: ``series_not_found`` where one is missing.
    """
    query = select(series).where(series.c.number.in_(numbers)).order_by(series.c.number)
    rows = list(connection.execute(query).mappings())
    missing = sorted(set(numbers) - {row["number"] for row in rows})
    if missing:
        raise NotFoundError("series_not_found", f"no series has the id {missing[0]}; see `steelyard history`")
    return rows


def messages_of(connection: Connection, rows: Sequence[RowMapping]) -> list[nightly_pb2.Series]:
    """Return series as they are told, with their marks and their devices' names."""
    ids = sorted({row["device_id"] for row in rows})
    named = select(devices.c.device_id, devices.c.name).where(devices.c.device_id.in_(ids))
    names = {row.device_id: row.name for row in connection.execute(named)}
    marks = _marks(connection, [row["number"] for row in rows])
    return [
        nightly_pb2.Series(
            series_id=row["number"],
            key=key_message(row),
            device_name=names.get(row["device_id"], ""),
            first_night=row["first_night"],
            last_night=row["last_night"],
            accepted_night=row["accepted_night"],
            marks=marks[row["number"]],
        )
        for row in rows
    ]


def key_message(row: RowMapping) -> nightly_pb2.SeriesKey:
    """Return the key in a row."""
    return nightly_pb2.SeriesKey(suite_name=row["suite_name"], **{name: row[name] for name in Key._fields})


def accept(
    connection: Connection, numbers: Sequence[int], night_number: int, who: str, reason: str, at_ns: int
) -> None:
    """Make a night the first of the series' new level; the same again changes nothing."""
    fresh = [row["number"] for row in by_numbers(connection, numbers) if row["accepted_night"] != night_number]
    mine = series.c.number.in_(fresh)
    connection.execute(update(series).where(mine).values(accepted_night=night_number))
    _mark(connection, [(one, night_number) for one in fresh], kind=ACCEPTED, message=reason, who=who, at_ns=at_ns)


def continue_under(connection: Connection, old_id: str, new_id: str, message: str, at_ns: int) -> list[RowMapping]:
    """Let the series of a device go on as another one's, marked from the next night on.

    A series that the other device has of its own goes on by itself and is marked; the old one stays as it is.

    Returns:
        The rows, as they were, of the series that go on as the other one's.
    """
    own = {_shape(row): row["number"] for row in _series_of_device(connection, new_id)}
    marked, moved = [], []
    for row in _series_of_device(connection, old_id):
        number = own.get(_shape(row))
        if number is None:
            number = row["number"]
            connection.execute(update(series).where(series.c.number == number).values(device_id=new_id))
            moved.append(row)
        marked.append((number, max(_coming_night(connection, row["suite_name"]), row["last_night"] + 1)))
    _mark(connection, marked, kind=DEVICE_REPLACED, message=message, who="", at_ns=at_ns)
    return moved


def _known(connection: Connection, suite_name: str, keys: Collection[Key]) -> dict[Key, int]:
    query = select(*_KEY_COLUMNS, series.c.number)
    query = query.where(series.c.suite_name == suite_name, tuple_(*_KEY_COLUMNS).in_(list(dict.fromkeys(keys))))
    return {Key(*row[:-1]): row[-1] for row in connection.execute(query)}


def _series_of_device(connection: Connection, device_id: str) -> list[RowMapping]:
    query = select(series).where(series.c.device_id == device_id).order_by(series.c.number)
    return list(connection.execute(query).mappings())


def _shape(row: RowMapping) -> tuple[str, ...]:
    """Return what a series of one device has in common with that of another."""
    return tuple(row[name] for name in ("suite_name", "model", "runtime", "metric", "unit"))


def _coming_night(connection: Connection, suite_name: str) -> int:
    """Return the number of the night that runs, or of the next one."""
    query = select(nights.c.night_number, nights.c.state).where(nights.c.suite_name == suite_name)
    row = connection.execute(query.order_by(nights.c.night_number.desc()).limit(1)).first()
    return 1 if row is None else int(row.night_number) + (row.state != _RUNNING)


def _mark(connection: Connection, marked: Iterable[tuple[int, int]], **values: Any) -> None:
    rows = [{"series_number": number, "night_number": night, **values} for number, night in marked]
    if rows:
        connection.execute(insert(series_marks), rows)


def _marks(connection: Connection, numbers: Sequence[int]) -> defaultdict[int, list[nightly_pb2.SeriesMark]]:
    found: defaultdict[int, list[nightly_pb2.SeriesMark]] = defaultdict(list)
    query = select(series_marks).where(series_marks.c.series_number.in_(numbers)).order_by(series_marks.c.number)
    for row in connection.execute(query):
        mark = nightly_pb2.SeriesMark(night_number=row.night_number, kind=row.kind, message=row.message, who=row.who)
        mark.at.FromNanoseconds(row.at_ns)
        found[row.series_number].append(mark)
    return found
