"""A profile's TOML text, checked key by key: an unknown key, a missing source or a wrong type is one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from typing import TypeVar

from steelyard_agent.errors import UsageError
from steelyard_agent.profiles.schema import (
    SCHEMA_VERSION,
    Fact,
    Match,
    OptionKnowledge,
    PowerKnowledge,
    ProcessorKnowledge,
    Profile,
    ProviderKnowledge,
    RuntimeKnowledge,
    Trap,
)
from steelyard_agent.profiles.toml_text import tomllib
from steelyard_agent.readings import Scope

_Table = dict[str, object]
_Entry = TypeVar("_Entry")
_FLAGS = frozenset({"hypervisor", "android"})
_TOP_KEYS = (
    *("schema_version", "name", "title", "match", "processor", "facts", "power"),
    *("runtimes", "providers", "options", "traps"),
)


class ProfileError(UsageError):
    """A profile does not fit the schema."""


def parse_profile(text: str, file_name: str) -> Profile:
    """Return the profile of a TOML text; ``file_name`` is for the sentence of an error.

    Raises:
        ProfileError: it is no TOML, a key is unknown or missing, or a value makes no sense.
    """
    try:
        return _profile(tomllib.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"device profile {file_name}: {error}; docs/profiles.md lists every key"
        raise ProfileError("invalid_profile", message) from error


def _profile(record: _Table) -> Profile:
    if record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {record.get('schema_version')!r}, expected {SCHEMA_VERSION}")
    _refuse_unknown(record, _TOP_KEYS, "the profile")
    return Profile(
        name=_text(record, "name"),
        title=_text(record, "title"),
        match=_match(_table(record, "match")),
        processor=_optional(record, "processor", _processor),
        facts={name: _fact(name, value) for name, value in _table(record, "facts").items()},
        power=_optional(record, "power", _power),
        runtimes=_entries(record, "runtimes", RuntimeKnowledge),
        providers=_entries(record, "providers", ProviderKnowledge),
        options=_entries(record, "options", OptionKnowledge),
        traps=_entries(record, "traps", Trap),
    )


def _match(table: _Table) -> Match:
    _refuse_unknown(table, tuple(one.name for one in fields(Match)), "match")
    flags = {name: table[name] for name in _FLAGS & set(table)}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"match.{name} is {value!r}, not true or false")
    texts = {name: _texts(f"match.{name}", value) for name, value in table.items() if name not in _FLAGS}
    return Match(**flags, **texts)  # type: ignore[arg-type]  # checked above


def _processor(table: _Table) -> ProcessorKnowledge:
    _refuse_unknown(table, tuple(one.name for one in fields(ProcessorKnowledge)), "processor")
    cores = table.get("cores")
    if cores is not None and type(cores) is not int:
        raise TypeError(f"processor.cores is {cores!r}, not a whole number")
    with _named("processor"):
        return ProcessorKnowledge(
            source=_text(table, "source"),
            cores=cores if isinstance(cores, int) else None,
            features=_texts("processor.features", table.get("features", [])),
            lacks=_texts("processor.lacks", table.get("lacks", [])),
        )


def _fact(name: str, value: object) -> Fact:
    if not isinstance(value, dict):
        raise TypeError(f"facts.{name} is {value!r}, not a table with value and source")
    _refuse_unknown(value, ("value", "source"), f"facts.{name}")
    with _named(f"facts.{name}"):
        return Fact(value=_text(value, "value"), source=_text(value, "source"))


def _power(table: _Table) -> PowerKnowledge:
    _refuse_unknown(table, tuple(one.name for one in fields(PowerKnowledge)), "power")
    texts = {name: _text(table, name) for name in ("covers", "why") if name in table}
    with _named("power"):
        return PowerKnowledge(
            kind=_text(table, "kind"), source=_text(table, "source"), scope=_scope(table.get("scope")), **texts
        )


def _scope(value: object) -> Scope | None:
    if value is None:
        return None
    known = {scope.value.lower(): scope for scope in Scope}
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"scope is {value!r}, not one of {', '.join(sorted(known))}")
    return known[value]


def _entries(record: _Table, name: str, kind: Callable[..., _Entry]) -> tuple[_Entry, ...]:
    tables = record.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise TypeError(f"{name} is not a list of tables: write [[{name}]]")
    return tuple(_entry(table, kind, f"{name}, entry {number}") for number, table in enumerate(tables, start=1))


def _entry(table: _Table, kind: Callable[..., _Entry], where: str) -> _Entry:
    """Return one entry of an array of tables; every key is a text, but for the value of an option."""
    keys = fields(kind)  # type: ignore[arg-type]  # dataclasses, all of them
    _refuse_unknown(table, tuple(key.name for key in keys), where)
    with _named(where):
        if missing := [key.name for key in keys if key.default is MISSING and key.name not in table]:
            raise ValueError(f"{missing[0]} is missing")
        return kind(**{key: value if key == "value" else _text(table, key) for key, value in table.items()})


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Say in which table of the file the trouble is."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _optional(record: _Table, name: str, parse: Callable[[_Table], _Entry]) -> _Entry | None:
    return parse(_table(record, name)) if name in record else None


def _refuse_unknown(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(table) - set(known)):
        raise ValueError(f"{where} has unknown keys {unknown}; known: {', '.join(known)}")


def _table(record: Mapping[str, object], name: str) -> _Table:
    value = record.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r}, not a table")
    return value


def _text(record: Mapping[str, object], name: str) -> str:
    if name not in record:
        raise ValueError(f"{name} is missing")
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, not a text")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise TypeError(f"{name} is {value!r}, not a list of texts")
    return tuple(value)
