"""A suite's file and those that it extends, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.suites.errors import Problems
from steelyard.suites.substitution import substitute
from steelyard.suites.suite import BUILT_IN_SENTINEL, NO_SENTINEL
from steelyard.toml_text import parse_toml

# Lists whose items have names, by which an item of a suite is laid over that of the suite it extends.
NAMED_LISTS = ("model", "device", "runtime", "task")
# Substituted only when they are used: they hold secrets, and the suite is stored with each night.
LATE_TABLES = ("notify", "heartbeat")
_PATHS = {"model": ("file", "registry"), "task": ("file",)}
_DEEPEST = 16


def load_tables(path: Path, environ: Mapping[str, str], problems: Problems) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Return the tables of a suite over those of the suites that it extends, and their files, its own first.

    Relative paths belong to the file that says them, and come back whole.

    Raises:
        SuiteError: a file that cannot be read or is no TOML, or files that extend each other in a circle.
    """
    return _load(path, environ, problems, ())


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one suite over another: tables merge, lists of named items merge by name, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = merged(below, value)
        elif key in NAMED_LISTS and isinstance(value, list) and isinstance(below, list):
            result[key] = _merged_items(below, value)
        else:
            result[key] = value
    return result


def _merged_items(base: list[Any], over: list[Any]) -> list[Any]:
    items = list(base)
    for item in over:
        name = item.get("name") if isinstance(item, Mapping) else None
        at = next(
            (i for i, one in enumerate(items) if isinstance(one, Mapping) and name and one.get("name") == name), None
        )
        if at is None:
            items.append(item)
        else:
            items[at] = merged(items[at], item)
    return items


def _load(
    path: Path, environ: Mapping[str, str], problems: Problems, above: tuple[Path, ...]
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    path = path.resolve()
    if path in above or len(above) >= _DEEPEST:
        circle = " -> ".join(one.name for one in (*above, path))
        problems.add(
            f"{above[-1].name} [suite] extends", f"suites extend each other in a circle: {circle}; cut it once"
        )
        problems.refuse("suite_circle")
    table = _read(path, problems)
    shown = {key: value for key, value in table.items() if key not in LATE_TABLES}
    shown = substitute(shown, environ, path.name, problems)
    late = {key: table[key] for key in LATE_TABLES if key in table}
    substitute(late, environ, path.name, problems)
    shown = {**_with_paths(shown, path.parent), **late}
    suite = shown.get("suite")
    extends = suite.pop("extends", None) if isinstance(suite, dict) else None
    if extends is None:
        return shown, (path,)
    if not isinstance(extends, str) or not extends or not extends.isprintable():
        problems.add(f"{path.name} [suite] extends", f'{extends!r} is no file\'s name; write extends = "base.toml"')
        return shown, (path,)
    base, sources = _load(path.parent / extends, environ, problems, (*above, path))
    return merged(base, shown), (path, *sources)


def _read(path: Path, problems: Problems) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problems.add(str(path), f"the suite cannot be read ({first_line(error)}); check the path")
    except ValueError as error:
        problems.add(path.name, f"this is not valid TOML: {error}")
    problems.refuse("unreadable_suite")
    raise AssertionError("a problem was noted")


def _with_paths(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    for kind, keys in _PATHS.items():
        items = table.get(kind)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                _resolve(item, keys, folder)
    suite = table.get("suite")
    # What is no text is refused where the suite is read.
    if isinstance(suite, dict) and suite.get("sentinel") not in (None, BUILT_IN_SENTINEL, NO_SENTINEL):
        _resolve(suite, ("sentinel",), folder)
    return table


def _resolve(item: dict[str, Any], keys: tuple[str, ...], folder: Path) -> None:
    for key in keys:
        if isinstance(item.get(key), str) and item[key]:
            item[key] = str((folder / item[key]).absolute())
    if isinstance(item.get("recipe"), str) and item["recipe"].endswith(".toml"):
        item["recipe"] = str((folder / item["recipe"]).absolute())
    if isinstance(item.get("recipes"), list):
        item["recipes"] = [
            str((folder / one).absolute()) if isinstance(one, str) and one.endswith(".toml") else one
            for one in item["recipes"]
        ]
