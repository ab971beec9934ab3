"""What the sampler is told and what it answers: JSON lines over its pipes. Standard library only.

The agent writes one order as a line to the sampler's standard input and keeps that pipe open: its end stops the
sampler. The sampler answers ``{"event": "ready"}`` after its first reads, then samples
``{"source": 0, "time_ns": 1, "raw": 2}`` and failures ``{"source": 0, "time_ns": 1, "reason": "..."}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from steelyard_agent.meters.power_source import PowerSource, source_from_json, source_to_json

READY_LINE = '{"event": "ready"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOrder:
    """What to read and how often: every ``period_ms`` in the mean, sources that bear less at their own least period.

    ``jitter`` varies the intervals (``intervals.py``): without, a load whose own period is the sampler's is always seen
    at the same place.
    """

    system_root: str
    sources: tuple[PowerSource, ...]
    period_ms: int
    jitter: bool = True
    avoid_core_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an order that cannot be kept."""
        if not 1 <= self.period_ms <= 60_000:
            raise ValueError(f"sample period {self.period_ms} ms is outside 1 to 60000 ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSample:
    """One read of the source with this index: a raw value, or the reason why there is none."""

    source_index: int
    time_ns: int
    raw: int | None
    reason: str = ""


def encode_order(order: SamplerOrder) -> str:
    """Return the order as one line without its end."""
    return json.dumps(
        {
            "system_root": order.system_root,
            "sources": [source_to_json(source) for source in order.sources],
            "period_ms": order.period_ms,
            "jitter": order.jitter,
            "avoid_core_ids": list(order.avoid_core_ids),
        }
    )


def decode_order(line: str) -> SamplerOrder:
    """Return the order of a line.

    Raises:
        ValueError: the line is no order.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or set(record) != {*SamplerOrder.__slots__}:
        raise ValueError(f"not a sampler order: {line[:80]!r}")
    sources = tuple(source_from_json(source) for source in record.pop("sources"))
    return SamplerOrder(sources=sources, avoid_core_ids=tuple(record.pop("avoid_core_ids")), **record)


def encode_sample(sample: RawSample) -> str:
    """Return the sample as one line without its end."""
    record: dict[str, object] = {"source": sample.source_index, "time_ns": sample.time_ns}
    record.update({"reason": sample.reason} if sample.raw is None else {"raw": sample.raw})
    return json.dumps(record)


def decode_sample(line: str) -> RawSample:
    """Return the sample of a line.

    Raises:
        ValueError: the line is no sample.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or set(record) not in (
        {"source", "time_ns", "raw"},
        {"source", "time_ns", "reason"},
    ):
        raise ValueError(f"not a sample: {line[:80]!r}")
    numbers = [record["source"], record["time_ns"], record.get("raw", 0)]
    if not all(type(number) is int for number in numbers):
        raise ValueError(f"not a sample: {line[:80]!r}")
    reason = str(record.get("reason", ""))
    return RawSample(source_index=record["source"], time_ns=record["time_ns"], raw=record.get("raw"), reason=reason)
