"""What points were measured in, and their texts: once each. Every function runs inside the transaction it is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Column, Connection, Insert, insert, select

from steelyard.store.kept_values import require_json, require_text
from steelyard.store.nightly_schema import environments, point_texts

_MAX_NAME_CHARACTERS = 200
MAX_TEXT_CHARACTERS = 2000


def keep(connection: Connection, given: Sequence[Mapping[str, str]]) -> list[int]:
    """Keep environments and return their numbers; one that is there already keeps the number that it has.

    Raises:
        UsageError: ``invalid_text`` or ``invalid_json``.
    """
    documents = [_canonical(one) for one in given]
    digests = [hashlib.sha256(one.encode()).hexdigest() for one in documents]
    by_digest = dict(zip(digests, documents, strict=True))
    numbers = _numbers(connection, environments.c.digest, environments.c.number, by_digest)
    for digest in by_digest.keys() - numbers.keys():
        numbers[digest] = _inserted(connection, insert(environments).values(digest=digest, json=by_digest[digest]))
    return [numbers[one] for one in digests]


def find(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return environments by their numbers; numbers that nobody gave are left out."""
    query = select(environments.c.number, environments.c.json).where(environments.c.number.in_(numbers))
    return {row.number: json.loads(row.json) for row in connection.execute(query.order_by(environments.c.number))}


def keep_texts(connection: Connection, texts: Collection[str]) -> dict[str, int]:
    """Keep texts of points and return their numbers.

    Raises:
        UsageError: ``invalid_text``.
    """
    for text in texts:
        require_text(text, "text of a point", most=MAX_TEXT_CHARACTERS)
    numbers = _numbers(connection, point_texts.c.text, point_texts.c.number, texts)
    for text in sorted(set(texts) - numbers.keys()):
        numbers[text] = _inserted(connection, insert(point_texts).values(text=text))
    return numbers


def texts_of(connection: Connection, numbers: Collection[int]) -> dict[int, str]:
    """Return texts of points by their numbers."""
    query = select(point_texts.c.number, point_texts.c.text).where(point_texts.c.number.in_(sorted(numbers)))
    return {row.number: row.text for row in connection.execute(query)}


def _canonical(entries: Mapping[str, str]) -> str:
    for name, value in entries.items():
        require_text(name, "name in an environment", least=1, most=_MAX_NAME_CHARACTERS)
        require_text(value, f"value of {name[:80]!r} in an environment", most=MAX_TEXT_CHARACTERS)
    document = json.dumps(dict(entries), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return require_json(document, "an environment")


def _numbers(
    connection: Connection, column: Column[str], number: Column[int], values: Collection[str]
) -> dict[str, int]:
    query = select(column, number).where(column.in_(sorted(values)))
    return {str(text): int(key) for text, key in connection.execute(query)}


def _inserted(connection: Connection, row: Insert) -> int:
    key = connection.execute(row).inserted_primary_key
    assert key is not None, "every row has a number"
    return int(key[0])
