"""How a job ends when it does not end well."""

from __future__ import annotations

from steelyard_protocol.v1 import control_pb2


class JobEnd(Exception):  # noqa: N818  (an end, not always an error)
    """Ends a job in a final state, with a reason for machines and one sentence for people."""

    def __init__(self, state: control_pb2.JobState.ValueType, reason: str, message: str) -> None:
        super().__init__(message)
        self.state = state
        self.reason = reason
