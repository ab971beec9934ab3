"""How far a device's clock is off, in words."""

from __future__ import annotations

from steelyard_protocol.v1 import health_pb2

_SPANS = ((31_557_600_000, "years"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


def offset_text(health: health_pb2.DeviceHealth) -> str:
    """Return "3 h behind" or "12 ms ahead, within 4 ms"; the clock's offset must be known."""
    milliseconds = health.clock_offset_ms
    word = "ahead" if milliseconds >= 0 else "behind"
    within = f", within {_span(health.clock_uncertainty_ms)}" if health.HasField("clock_uncertainty_ms") else ""
    return f"{_span(abs(milliseconds))} {word}{within}"


def _span(milliseconds: int) -> str:
    for size, unit in _SPANS:
        if milliseconds >= 2 * size:
            return f"{milliseconds / size:.0f} {unit}"
    return f"{milliseconds} ms"
