"""Typed values out of a table of TOML; what is wrong is noted with its place, and reading goes on with the default."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from steelyard.durations import parse_duration
from steelyard.spelling import meant
from steelyard.suites.errors import Problems

_T = TypeVar("_T")
_SHARE = re.compile(r"(?P<number>[0-9]{1,3}(?:\.[0-9]+)?) ?%")
_AMOUNT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[A-Za-z]*)")
# What a unit is worth in the unit of a metric: ns, B, J, pp of accuracies, which are fractions.
_UNITS = {
    "ns": {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9},
    "B": {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "J": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6},
    "fraction": {"pp": 0.01, "": 1.0},
}


class Table:
    """One table at one place of a suite."""

    def __init__(self, values: Mapping[str, Any], place: str, problems: Problems) -> None:
        self._values = values
        self.place = place
        self._problems = problems

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def complain(self, key: str, sentence: str) -> None:
        """Note what is wrong with a key; with the table as a whole for ""."""
        self._problems.add(f"{self.place} {key}".rstrip(), sentence)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Note every key that is none of ``known``, and the nearest known one."""
        for key in self._values:
            if key not in known:
                self.complain("", f"unknown key {key!r}; {meant(key, known)}")

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        return self._typed(key, str, default, "a text in quotes")

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        return self._typed(key, bool, default, "true or false")

    def switch(self, key: str) -> bool | None:
        """Return true, false, or None where the key is not there."""
        return self.flag(key, False) if key in self._values else None

    def count(self, key: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self._typed(key, int, default, f"a whole number from {low} to {high}")
        if low <= value <= high:
            return value
        self.complain(key, f"{value} is not a whole number from {low} to {high}")
        return default

    def duration(self, key: str, default: float) -> float:
        """Return a duration such as "90m" in seconds."""
        value = self._values.get(key)
        if value is None:
            return default
        try:
            return parse_duration(value) if isinstance(value, str) else parse_duration("")
        except ValueError:
            self.complain(key, f'{value!r} is no time; write one such as "90s", "10m" or "1.5h"')
            return default

    def share(self, key: str, default: _T) -> float | _T:
        """Return a share such as "3%" as 0.03."""
        value = self._values.get(key)
        if value is None:
            return default
        match = _SHARE.fullmatch(value) if isinstance(value, str) else None
        if match is None or float(match["number"]) > 100:
            self.complain(key, f'{value!r} is no share; write one such as "3%"')
            return default
        return float(match["number"]) / 100

    def amount(self, key: str, default: float, *, unit: str) -> float:
        """Return an amount such as "0.05ms" in ``unit`` ("ns", "B", "J", "fraction"), a bare number in others."""
        value = self._values.get(key)
        if value is None:
            return default
        units = _UNITS.get(unit, {"": 1.0})
        match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
        if match is None or match["unit"] not in units:
            words = ", ".join(one for one in units if one) or "no unit"
            self.complain(key, f"{value!r} is no amount here; write a number with {words}, in quotes")
            return default
        return float(match["number"]) * units[match["unit"]]

    def choice(self, key: str, default: str, known: Collection[str]) -> str:
        """Return one of the known words."""
        value = self.text(key, default)
        if value == default or value in known:
            return value
        self.complain(key, f"{value!r} is not known; {meant(value, known)}")
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text stands for a list of one."""
        value = self._values.get(key, [])
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(one, str) and one for one in items):
            return tuple(items)
        self.complain(key, f'{value!r} is no list of texts; write ["one", "two"]')
        return ()

    def table(self, key: str, *, shown: str = "") -> Table:
        """Return the table under a key, an empty one where it is not there."""
        value = self._values.get(key, {})
        if not isinstance(value, Mapping):
            self.complain(key, f"{value!r} is no table; write it as [{key}]")
            value = {}
        return Table(value, f"{self.place} [{shown or key}]", self._problems)

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """Yield each table in the table under a key, by name."""
        values = self.table(key)._values  # noqa: SLF001  (of its own kind)
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield name, Table(value, f"{self.place} [{key}.{name}]", self._problems)
            else:
                self.complain(key, f"{name} = {value!r} is no table; write it as [{key}.{name}]")

    def items(self, key: str) -> Iterator[Table]:
        """Yield the tables of a list such as [[model]]; each must have a name of its own."""
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(one, Mapping) for one in values):
            self.complain(key, f"this is no list of tables; write each as [[{key}]]")
            return
        seen: set[str] = set()
        for number, one in enumerate(values, start=1):
            name = one.get("name")
            if not isinstance(name, str) or not name.strip():
                self.complain("", f'[[{key}]] number {number} has no name; add name = "…"')
            elif name in seen:
                self.complain("", f"two [[{key}]] are called {name!r}; give each a name of its own")
            else:
                seen.add(name)
                yield Table(one, f"{self.place} [[{key}]] {name}", self._problems)

    def raw(self) -> Mapping[str, Any]:
        """Return the values as they are."""
        return self._values

    def _typed(self, key: str, kind: type[_T], default: _T, words: str) -> _T:
        value = self._values.get(key)
        if value is None:
            return default
        # True is an int in Python, and no count in a suite.
        if type(value) is kind:
            return value
        self.complain(key, f"{value!r} is not {words}")
        return default
