"""The states in which a job has ended, alike for the store, for what runs jobs and for who waits for one."""

from __future__ import annotations

from steelyard_protocol.v1 import control_pb2

FINAL_STATES = frozenset(
    {
        control_pb2.JOB_STATE_RECORDED,
        control_pb2.JOB_STATE_USER_ERROR,
        control_pb2.JOB_STATE_AGENT_ERROR,
        control_pb2.JOB_STATE_DEVICE_LOST,
        control_pb2.JOB_STATE_TIMEOUT,
        control_pb2.JOB_STATE_INVALID,
        control_pb2.JOB_STATE_CANCELLED,
    }
)
