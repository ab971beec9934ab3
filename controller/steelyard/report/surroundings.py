"""The verdicts on blocks and the circumstances of a measurement in words."""

from __future__ import annotations

from steelyard.analysis.validity import WORDS
from steelyard_protocol.v1 import measurement_pb2, result_pb2

_WORDS = {
    result_pb2.THROTTLE_VERDICT_NO: "no",
    result_pb2.THROTTLE_VERDICT_UNKNOWN: "could not be ruled out",
}


def rounds_text(measurement: measurement_pb2.Measurement) -> str:
    """Return "12 rounds", or "12 rounds, 2 repeated" where some were not valid."""
    repeated = measurement.repeated_round_count
    count = measurement.round_count
    return f"{count} round{'' if count == 1 else 's'}{f', {repeated} repeated' if repeated else ''}"


def validity_text(measurement: measurement_pb2.Measurement) -> str:
    """Return "static-int8: 2 contended (ready but not running for …)", "" where every block was valid."""
    return "; ".join(
        f"{variant.label}: {one.block_count} {WORDS.get(one.verdict, 'not valid')} ({one.example})"
        for variant in measurement.variants
        for one in variant.validity
    )


def throttling_text(measurement: measurement_pb2.Measurement) -> str:
    """Return "no", "could not be ruled out" or "yes, in 3 blocks of static-int8"; "" when no block told."""
    if measurement.throttle.verdict != result_pb2.THROTTLE_VERDICT_YES:
        return _WORDS.get(measurement.throttle.verdict, "")
    parts = [
        f"{one.throttled_block_count} {'block' if one.throttled_block_count == 1 else 'blocks'} of {one.label}"
        for one in measurement.variants
        if one.throttled_block_count
    ]
    # Evaluation and failed blocks have no figures to spoil.
    return f"yes, in {', '.join(parts)}" if parts else "yes, in blocks that no figure rests on"


def circumstances_text(measurement: measurement_pb2.Measurement) -> str:
    """Return "governor ondemand; power mode not told (nvpmodel is not installed)", "" for none."""
    return "; ".join(
        f"{one.name.replace('_', ' ')} {one.value if one.HasField('value') else f'not told ({one.reason})'}"
        for one in measurement.circumstances
    )


def surroundings_lines(measurement: measurement_pb2.Measurement) -> list[str]:
    """Return one line for a terminal, "governor ondemand; throttled: no"; none where neither is known."""
    throttled = throttling_text(measurement)
    parts = [circumstances_text(measurement), f"throttled: {throttled}" if throttled else ""]
    return ["; ".join(part for part in parts if part)] if any(parts) else []
