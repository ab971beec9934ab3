"""Blocks and results as JSON: strict both ways, since either side may be of another version. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar

from steelyard_agent.worker.block import PIPE_PROTOCOL_VERSION, Block, CurvePoint, Timing, WorkerResult
from steelyard_agent.worker.contention import Contention
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.processing_spec import Processing
from steelyard_agent.worker.records import OperatorRecord, ProbeModel, RateRecord

_Record = TypeVar("_Record")


def encode_block(block: Block) -> str:
    """Return the block as one line of JSON, without the line's end."""
    return _dump(asdict(block))


def decode_block(text: str) -> Block:
    """Return the block of a line of JSON.

    Raises:
        ValueError: the text is not JSON, of another protocol version, has an unknown key or a value of a wrong type.
    """
    return block_of(_load(text))


def block_of(value: object) -> Block:
    """Return the block of a decoded JSON object.

    Raises:
        ValueError: as for ``decode_block``.
    """
    version = value.get("protocol") if isinstance(value, dict) else None
    if version != PIPE_PROTOCOL_VERSION:
        raise ValueError(f"this worker speaks pipe protocol {PIPE_PROTOCOL_VERSION}, the block is of {version!r}")
    return _record(Block, value)


def encode_result(result: WorkerResult) -> str:
    """Return the result as one line of JSON, without the line's end."""
    return _dump(asdict(result))


def decode_result(text: str) -> WorkerResult:
    """Return the result of a line of JSON.

    Raises:
        ValueError: the text is not JSON, has an unknown key or a value of a wrong type.
    """
    return result_of(_load(text))


def result_of(value: object) -> WorkerResult:
    """Return the result of a decoded JSON object.

    Raises:
        ValueError: as for ``decode_result``.
    """
    return _record(WorkerResult, value)


def encode_runtime_options(options: RuntimeOptions) -> dict[str, object]:
    """Return the options as the JSON object that stands in ``Block.runtime``; defaults are left out."""
    plain, defaults = _plain(asdict(options)), _plain(asdict(RuntimeOptions()))
    return {key: value for key, value in plain.items() if value != defaults[key]}


def decode_runtime_options(value: Mapping[str, object]) -> RuntimeOptions:
    """Return the options of the JSON object that stands in ``Block.runtime``.

    Raises:
        ValueError: an unknown key, or a value of a wrong type.
    """
    return _record(RuntimeOptions, dict(value))


def _record(kind: type[_Record], value: object) -> _Record:
    if not isinstance(value, dict):
        raise _wrong(kind.__name__, value, "an object")
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"{kind.__name__} has no field {unknown[0]!r}")
    for name, item in known.items():
        if name not in value and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"{kind.__name__} lacks the field {name!r}")
    return kind(**{name: _READERS[str(known[name].type)](f"{kind.__name__}.{name}", value[name]) for name in value})


def _exactly(kind: type) -> Callable[[str, Any], Any]:
    def read(where: str, value: Any) -> Any:
        # bool is an int to isinstance, and must not pass for one.
        if type(value) is not kind:
            raise _wrong(where, value, f"of type {kind.__name__}")
        return value

    return read


def _number(where: str, value: object) -> float:
    if type(value) not in (int, float):
        raise _wrong(where, value, "a number")
    return float(value)  # type: ignore[arg-type]


def _optional(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda where, value: None if value is None else read(where, value)


def _many(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def read_all(where: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        return tuple(read(f"{where}[{index}]", item) for index, item in enumerate(value))

    return read_all


def _mapping(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def read_all(where: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(where, value, "an object")
        return {key: read(f"{where}[{key!r}]", item) for key, item in value.items()}

    return read_all


def _anything(where: str, value: object) -> object:
    return value


_text, _int, _bool = _exactly(str), _exactly(int), _exactly(bool)

# By the annotation as it is written in block.py and contract.py; a test reads every field of both.
_READERS: dict[str, Callable[[str, Any], Any]] = {
    "str": _text,
    "int": _int,
    "float": _number,
    "bool": _bool,
    "int | None": _optional(_int),
    "float | None": _optional(_number),
    "bool | None": _optional(_bool),
    "str | None": _optional(_text),
    "tuple[int, ...]": _many(_int),
    "tuple[float, ...]": _many(_number),
    "tuple[tuple[int, ...], ...]": _many(_many(_int)),
    "tuple[str, ...]": _many(_text),
    "tuple[dict[str, object], ...]": _many(_mapping(_anything)),
    "tuple[dict[str, str], ...]": _many(_mapping(_text)),
    "dict[str, object]": _mapping(_anything),
    "dict[str, int | None]": _mapping(_optional(_int)),
    "dict[str, dict[str, int]]": _mapping(_mapping(_int)),
    "dict[str, str]": _mapping(_text),
    "Mapping[str, str]": _mapping(_text),
    "Mapping[str, tuple[int, ...]]": _mapping(_many(_int)),
    "Contention | None": _optional(lambda _where, value: _record(Contention, value)),
    "Timing": lambda _where, value: _record(Timing, value),
    "Mode": lambda _where, value: _record(Mode, value),
    "Processing": lambda _where, value: _record(Processing, value),
    "tuple[CurvePoint, ...]": _many(lambda _where, value: _record(CurvePoint, value)),
    "tuple[ProviderSpec, ...]": _many(lambda _where, value: _record(ProviderSpec, value)),
    "tuple[OperatorRecord, ...]": _many(lambda _where, value: _record(OperatorRecord, value)),
    "tuple[ProbeModel, ...]": _many(lambda _where, value: _record(ProbeModel, value)),
    "tuple[RateRecord, ...]": _many(lambda _where, value: _record(RateRecord, value)),
}


def _plain(value: Any) -> Any:
    """Return the value with tuples as lists, as JSON would give it back."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _load(text: str) -> object:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None


def _wrong(where: str, value: object, expected: str) -> ValueError:
    return ValueError(f"{where}: {_short(value)} is not {expected}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
