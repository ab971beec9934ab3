"""A device's description as a program wrote it: ``doctor --json``, or ``steelyard device show --json``.

Both have the same keys; what a draft does not need is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields

from steelyard_agent.errors import UsageError
from steelyard_agent.profiles.identity import Identity
from steelyard_agent.readings import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedRuntime:
    """A runtime of the device; ``version`` is "" and ``reason`` says why when it cannot be used."""

    name: str
    version: str
    reason: str
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedMeter:
    """What a meter of the device said once; ``has_value`` is False where there is nothing, with the ``reason``."""

    name: str
    has_value: bool
    source: str
    scope: Scope
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedDevice:
    """What a profile is drafted from."""

    name: str
    model: str
    architecture: str
    processor: str
    core_count: int
    features: tuple[str, ...]
    memory_bytes: int
    identity: Identity
    runtimes: tuple[DescribedRuntime, ...] = ()
    meters: tuple[DescribedMeter, ...] = ()
    # Names of the kinds of cores, the fastest first; one name for a processor whose cores are alike.
    core_groups: tuple[str, ...] = ()


def read_description(text: str) -> DescribedDevice:
    """Return the device of a JSON document; the description may stand under "device" and "description" in it.

    Raises:
        UsageError: it is no JSON or no description of a device.
    """
    try:
        return _device(_unwrapped(json.loads(text)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        detail = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        message = f"this is no description of a device ({detail}); take what `steelyard-agent doctor --json` printed"
        raise UsageError("invalid_description", message) from error


def _unwrapped(value: object) -> Mapping[str, object]:
    for key in ("device", "description"):
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    if not isinstance(value, dict):
        raise TypeError("it is not a JSON object")
    return value


def _device(record: Mapping[str, object]) -> DescribedDevice:
    return DescribedDevice(
        name=_text(record, "name"),
        model=_text(record, "model"),
        architecture=_text(record, "architecture"),
        processor=_text(record, "processor"),
        core_count=_number(record, "logical_core_count"),
        features=_texts(record, "processor_features"),
        memory_bytes=_number(record, "memory_bytes"),
        identity=_identity(record.get("identity")),
        runtimes=tuple(_runtime(one) for one in _records(record, "runtimes")),
        meters=tuple(_meter(one) for one in _records(record, "meters")),
        core_groups=tuple(_text(one, "name") for one in _records(record, "core_groups")),
    )


def _identity(value: object) -> Identity:
    """Return the identity; an agent from before it was sent has none."""
    if value is None:
        return Identity()
    if not isinstance(value, dict):
        raise TypeError(f"identity is {value!r}, not an object")
    known = {one.name: value[one.name] for one in fields(Identity) if one.name in value}
    lists = {name: _texts(known, name) for name in known if name == "device_tree_compatibles"}
    texts = {name: _text(known, name) for name in known if name not in {*lists, "virtual"}}
    return Identity(**lists, **texts, virtual=known.get("virtual") is True)  # type: ignore[arg-type]  # checked above


def _runtime(record: Mapping[str, object]) -> DescribedRuntime:
    return DescribedRuntime(
        name=_text(record, "name"),
        version=_text(record, "version"),
        reason=_text(record, "reason"),
        providers=_texts(record, "providers"),
    )


def _meter(record: Mapping[str, object]) -> DescribedMeter:
    return DescribedMeter(
        name=_text(record, "name"),
        has_value=record.get("value") is not None,
        source=_text(record, "source"),
        scope=Scope(_text(record, "scope")),
        reason=_text(record, "reason"),
    )


def _records(record: Mapping[str, object], name: str) -> list[dict[str, object]]:
    value = record.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError(f"{name} is {value!r}, not a list of objects")
    return value


def _text(record: Mapping[str, object], name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, not a text")
    return value


def _texts(record: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = record[name]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name} is {value!r}, not a list of texts")
    return tuple(value)


def _number(record: Mapping[str, object], name: str) -> int:
    value = record[name]
    if type(value) is not int:
        raise TypeError(f"{name} is {value!r}, not a whole number")
    return value
