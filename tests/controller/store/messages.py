"""Messages and clocks for tests of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2

MEASUREMENT = control_pb2.JOB_KIND_MEASUREMENT
QUEUED = control_pb2.JOB_STATE_QUEUED
RUNNING = control_pb2.JOB_STATE_RUNNING
RECORDED = control_pb2.JOB_STATE_RECORDED
CANCELLED = control_pb2.JOB_STATE_CANCELLED


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def artifact(name: str = "resnet", digest: str | None = None, parent: str = "") -> control_pb2.Artifact:
    made = control_pb2.Artifact(
        digest=digest or digest_of(name), name=name, format=common_pb2.ARTIFACT_FORMAT_ONNX, size_bytes=10
    )
    if parent:
        made.lineage.parent_digest = digest_of(parent)
    return made


def task(name: str = "fashion") -> control_pb2.Task:
    return control_pb2.Task(
        name=name, metric="top1", evaluation_digest=digest_of("inputs"), evaluation_sample_count=2000
    )


def description(device_id: str = "d1e2f3a4", name: str = "pi5") -> common_pb2.DeviceDescription:
    return common_pb2.DeviceDescription(device_id=device_id, name=name, logical_core_count=4)


def job(job_id: str = "job-0001") -> control_pb2.Job:
    return control_pb2.Job(job_id=job_id, kind=MEASUREMENT, device="pi5", title="resnet")


def round_key(round_index: int = 0, job_id: str = "job-0001", attempt: int = 1) -> result_pb2.ResultKey:
    return result_pb2.ResultKey(
        job_id=job_id, attempt=attempt, pass_kind=result_pb2.PASS_LATENCY, round_index=round_index
    )


def rising_clock(start_ns: int = 1_700_000_000_000_000_000) -> Callable[[], int]:
    """Each look is a millisecond after the one before."""
    now_ns = start_ns

    def clock_ns() -> int:
        nonlocal now_ns
        now_ns += 1_000_000
        return now_ns

    return clock_ns
