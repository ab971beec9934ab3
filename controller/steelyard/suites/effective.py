"""The effective suite: what is left after inheritance and substitution, as a document, as TOML, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from steelyard.series.metric_rules import METRIC_RULES
from steelyard.suites.suite import Suite

# Where a suite lies is no part of what it measures.
_LEFT_OUT = ("folder", "sources")


def suite_document(suite: Suite) -> dict[str, Any]:
    """Return the suite as JSON-ready data; paths are relative to its folder, secrets stay as ``${NAME}``."""
    document = {
        field.name: _plain(getattr(suite, field.name), suite.folder)
        for field in fields(suite)
        if field.name not in _LEFT_OUT
    }
    if Path(suite.sentinel).is_absolute():
        document["sentinel"] = _relative(suite.sentinel, suite.folder)
    return document


def suite_digest(suite: Suite) -> str:
    """Return the SHA-256 of the effective suite: equal for equal nights, wherever the file lies.

    What is as it is by default is left out, so that a new setting of a later Steelyard is no edit of the suite.
    """
    usual = Suite(name="", folder=suite.folder, sources=(), models=(), devices=(), runtimes=(), metrics=METRIC_RULES)
    told = _without_defaults(suite_document(suite), suite_document(usual))
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def suite_toml(suite: Suite) -> str:
    """Return the effective suite as a file that ``steelyard suite check`` reads; times in seconds."""
    night, measure, schedule = suite.night, suite.measure, suite.schedule
    parts = [
        _section(
            "[suite]",
            {
                "name": suite.name,
                "at": schedule.at,
                "timezone": schedule.timezone,
                "budget": f"{suite.budget_s:g}s",
                "sentinel": _relative(suite.sentinel, suite.folder),
                "sentinel_runtime": suite.sentinel_runtime,
            },
        ),
        *(_section("[[model]]", _item(one, suite.folder)) for one in suite.models),
        *(_section("[[device]]", _item(one, suite.folder, budget_s="budget")) for one in suite.devices),
        *(_section("[[runtime]]", _item(one, suite.folder)) for one in suite.runtimes),
        *(_section("[[task]]", _item(one, suite.folder)) for one in suite.tasks),
        *(_metric(name, suite) for name in METRIC_RULES),
        _section("[measure]", _seconds(_item(measure, suite.folder), ("sample_window", "block_timeout"))),
        _section("[night]", _seconds(_item(night, suite.folder), ("window", "device_wait"))),
        *(_section(f"[notify.{_key(name)}]", table) for name, table in suite.notify.items()),
        _section("[heartbeat]", suite.heartbeat) if suite.heartbeat else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _without_defaults(document: Any, usual: Any) -> Any:
    if not (isinstance(document, dict) and isinstance(usual, dict)):
        return document
    told = {key: _without_defaults(value, usual.get(key)) for key, value in document.items() if value != usual.get(key)}
    # A metric that is not judged is not there, which is no default.
    return told | dict.fromkeys(usual.keys() - document.keys())


def _metric(name: str, suite: Suite) -> str:
    """Return the section of a metric where it is not the default."""
    rule = suite.metrics.get(name)
    if rule is None:
        return _section(f"[metrics.{name}]", {"enabled": False})
    usual = METRIC_RULES[name]
    if rule == usual:
        return ""
    amount = _AMOUNTS.get(rule.unit, "")
    told = {
        "direction": rule.direction.value,
        "min_effect": f"{100 * rule.minimum_effect:.6g}%",
        "min_effect_abs": f"{_decimal(rule.minimum_effect_abs)}{amount}",
        "confirm_effect": f"{100 * rule.confirm_effect:.6g}%",
        "p_value": _decimal(rule.p_value),
        "hard_limit": None if rule.hard_limit is None else f"{_decimal(rule.hard_limit)}{amount}",
    }
    return _section(f"[metrics.{name}]", told)


_AMOUNTS = {"ns": "ns", "B": "B", "J": "J"}


def _decimal(value: float) -> str:
    """Return a number without an exponent, which amounts do not take."""
    return f"{value:.12f}".rstrip("0").rstrip(".") or "0"


def _item(value: Any, folder: Path, **renamed: str) -> dict[str, Any]:
    plain = {field.name: _plain(getattr(value, field.name), folder) for field in fields(value)}
    named = {renamed.get(name, name): one for name, one in plain.items() if one not in (None, "", [], "*")}
    if isinstance(named.get("budget"), float):
        named["budget"] = f"{named['budget']:g}s"
    return named


def _seconds(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Write durations and shares as the suite's file has them."""
    result = dict(values)
    for name in names:
        result[name] = f"{result.pop(f'{name}_s'):g}s"
    for name in ("confirmation_share", "max_contention"):
        if name in result:
            result[name] = f"{100 * result[name]:.6g}%"
    return result


def _section(title: str, values: Mapping[str, Any]) -> str:
    lines = [f"{_key(key)} = {_toml(value)}" for key, value in values.items() if value not in (None, "")]
    return "\n".join([title, *lines])


def _key(name: str) -> str:
    return name if name.replace("-", "_").isidentifier() and name.isascii() else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    # A basic string of TOML is one of JSON, but for the escapes of what lies beyond ASCII, which are not needed.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(value: Any, folder: Path) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), folder) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(one, folder) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, folder) for one in value]
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(".toml") and Path(value).is_absolute()):
        return _relative(str(value), folder)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _relative(text: str, folder: Path) -> str:
    return Path(os.path.relpath(text, folder)).as_posix() if Path(text).is_absolute() else text
