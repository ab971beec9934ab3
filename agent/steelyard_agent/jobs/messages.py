"""Small messages that several others hold: readings, errors, times."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from steelyard_agent.readings import Reading
from steelyard_protocol.v1 import common_pb2

# A native library may say a page; a session message is 64 KiB at most.
_MAX_SENTENCE_CHARACTERS = 4000


def reading_message(reading: Reading) -> common_pb2.Reading:
    """Return a reading as the wire has it; what is not known stays unset."""
    return common_pb2.Reading(
        name=reading.name,
        value=reading.value,
        status=common_pb2.ReadingStatus.Value(f"READING_STATUS_{reading.status.value}"),
        reason=reading.reason,
        source=reading.source,
        scope=common_pb2.ReadingScope.Value(f"READING_SCOPE_{reading.scope.value}"),
        unit=reading.unit,
        resolution=reading.resolution,
        kind=common_pb2.ReadingKind.Value(f"READING_KIND_{reading.kind.value}"),
        rate_hz=reading.rate_hz,
    )


def error_info(reason: str, message: str) -> common_pb2.ErrorInfo:
    """Return an error as the wire has it; its sentence is cut to 4,000 characters."""
    return common_pb2.ErrorInfo(reason=reason, message=message[:_MAX_SENTENCE_CHARACTERS])


def timestamp(unix_ns: int) -> Timestamp:
    """Return wall time in nanoseconds since 1970 as the wire has it."""
    message = Timestamp()
    message.FromNanoseconds(unix_ns)
    return message
