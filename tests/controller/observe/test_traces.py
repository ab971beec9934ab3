"""What OpenTelemetry is told: a job as one trace whose id is the job's, its states beneath, sent after its end."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from steelyard.control.controller import Controller
from steelyard.errors import UsageError
from steelyard.observe.job_spans import job_trace
from steelyard.observe.tracing import emit, make_provider, tracing
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2

pytest.importorskip("opentelemetry.sdk")

JOB_ID = "00112233445566778899aabbccddeeff"
QUEUED, RUNNING = control_pb2.JOB_STATE_QUEUED, control_pb2.JOB_STATE_RUNNING
RECORDED, LOST = control_pb2.JOB_STATE_RECORDED, control_pb2.JOB_STATE_DEVICE_LOST
SECOND_NS = 10**9


def event(cursor: int, at_s: float, state: control_pb2.JobState.ValueType, message: str) -> control_pb2.JobEvent:
    made = control_pb2.JobEvent(cursor=cursor, state=state, message=message)
    made.at.FromNanoseconds(int(at_s * SECOND_NS))
    return made


def ended(state: control_pb2.JobState.ValueType = RECORDED, *, from_s: int = 100, to_s: int = 110) -> control_pb2.Job:
    job = control_pb2.Job(job_id=JOB_ID, kind=control_pb2.JOB_KIND_MEASUREMENT, device="pi5", state=state, attempt=1)
    job.created_at.FromSeconds(from_s)
    job.finished_at.FromSeconds(to_s)
    return job


EVENTS = [
    event(1, 100, QUEUED, "waiting for the device"),
    event(2, 103, RUNNING, "latency round 1 recorded"),
    event(3, 105, RUNNING, "latency round 2 recorded"),
    event(4, 110, RECORDED, "done"),
]


def test_a_job_is_a_trace_of_its_own_id_with_a_span_for_each_state() -> None:
    trace = job_trace(ended(), EVENTS)
    assert trace.trace_id == int(JOB_ID, 16)
    assert (trace.job.name, trace.job.start_ns, trace.job.end_ns) == ("measurement", 100 * SECOND_NS, 110 * SECOND_NS)
    assert trace.job.attributes["steelyard.device"] == "pi5"
    # What is not known is not there.
    assert "steelyard.title" not in trace.job.attributes
    spans = [(span.name, span.start_ns // SECOND_NS, span.end_ns // SECOND_NS) for span in trace.states]
    assert spans == [("queued", 100, 103), ("running", 103, 110)]
    assert [line for _, line in trace.states[1].events] == ["latency round 1 recorded", "latency round 2 recorded"]
    assert trace.job.error == ""


def test_a_job_that_did_not_end_well_says_why() -> None:
    job = ended(LOST)
    job.error.reason, job.error.message = "device_lost", "pi5 did not come back within 135 s"
    trace = job_trace(job, [])
    assert trace.job.error == "pi5 did not come back within 135 s"
    assert trace.job.attributes["steelyard.reason"] == "device_lost"


def test_a_clock_that_was_set_back_makes_no_span_of_negative_length() -> None:
    trace = job_trace(ended(to_s=50), EVENTS)
    assert all(span.start_ns <= span.end_ns for span in (trace.job, *trace.states))


def test_an_unfinished_job_has_no_trace() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        job_trace(control_pb2.Job(job_id=JOB_ID), EVENTS)


def test_spans_hang_together_under_the_id_of_the_job() -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    emit(job_trace(ended(LOST), EVENTS), make_provider(SimpleSpanProcessor(kept)))
    spans = {span.name: span for span in kept.get_finished_spans()}
    assert {span.context.trace_id for span in spans.values() if span.context} == {int(JOB_ID, 16)}
    root, running = spans["measurement"], spans["running"]
    assert root.parent is None
    assert root.context is not None
    assert running.parent is not None
    assert running.parent.span_id == root.context.span_id
    assert not root.status.is_ok
    assert (running.start_time, running.end_time) == (103 * SECOND_NS, 110 * SECOND_NS)


class _Collector(BaseHTTPRequestHandler):
    bodies: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server calls it so)
        pass


@pytest.fixture
def collector() -> Iterator[str]:
    _Collector.bodies.clear()
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_job_that_ends_arrives_at_a_collector(tmp_path: Path, collector: str) -> None:
    controller = Controller(Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0"))
    await controller.start()
    try:
        async with tracing(controller, collector):
            job = control_pb2.Job(job_id=JOB_ID, kind=control_pb2.JOB_KIND_COMPRESSION, title="int8 of net", attempt=1)
            await controller.store.call(Store.create_job, job, b"", "request-1")
            # No such model: the job is resumed, fails, and is over.
            await controller.jobs.resume()
            while controller.jobs.runs(JOB_ID):
                await asyncio.sleep(0.01)
            # Whatever has ended is sent before the controller goes.
            await asyncio.sleep(0)
    finally:
        await controller.stop()
    ((path, body),) = _Collector.bodies
    assert path == "/v1/traces"
    assert bytes.fromhex(JOB_ID) in body
    assert b"int8 of net" in body


async def test_what_is_no_address_is_refused_with_an_example(tmp_path: Path) -> None:
    controller = Controller(Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0"))
    with pytest.raises(UsageError, match="write http://127"):
        async with tracing(controller, "collector:4318"):
            pass
