"""Traces for OpenTelemetry: each job that ends is sent as one trace, afterwards, so that no measurement pays for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from steelyard import __version__
from steelyard.errors import SteelyardError, UsageError
from steelyard.job_states import FINAL_STATES
from steelyard.observe.job_spans import JobTrace, Span, job_trace
from steelyard.store.store import Store

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span as OpenSpan
    from opentelemetry.trace import Tracer

    from steelyard.control.controller import Controller
    from steelyard_protocol.v1 import control_pb2

_log = logging.getLogger(__name__)

_EVENT_PAGE = 500
# Between the end of a job's task and its final state in the store.
_END_POLL_S, _END_POLL_COUNT = 0.1, 20
# What a collector that does not answer may hold up the controller's end for.
_FLUSH_TIMEOUT_MS = 5_000

# Of the job whose spans are made now.
_TRACE_ID: ContextVar[int] = ContextVar("steelyard_trace_id")


@asynccontextmanager
async def tracing(controller: Controller, endpoint: str) -> AsyncIterator[None]:
    """Send the trace of each job that ends while the context lasts to an OTLP collector over HTTP.

    Args:
        controller: Whose jobs.
        endpoint: ``http://HOST:4318``, to which ``/v1/traces`` is added where it names no path. Headers and
            certificates are those of the ``OTEL_EXPORTER_OTLP_*`` variables.

    Raises:
        UsageError: ``extra_missing`` or ``invalid_endpoint``.
    """
    provider = make_provider(_processor(endpoint))
    sending: set[asyncio.Task[None]] = set()

    def ended(job_id: str) -> None:
        task = asyncio.ensure_future(_send(controller, job_id, provider))
        sending.add(task)
        task.add_done_callback(sending.discard)

    controller.jobs.when_over(ended)
    try:
        yield
    finally:
        controller.jobs.when_over(None)
        await asyncio.gather(*sending, return_exceptions=True)
        await asyncio.to_thread(provider.force_flush, _FLUSH_TIMEOUT_MS)
        await asyncio.to_thread(provider.shutdown)


async def _send(controller: Controller, job_id: str, provider: TracerProvider) -> None:
    try:
        job = await _ended_job(controller, job_id)
        if job is not None:
            emit(job_trace(job, await _events(controller, job_id)), provider)
    except (SteelyardError, ValueError) as error:
        _log.warning("job %s gave no trace: %s", job_id, error)


async def _ended_job(controller: Controller, job_id: str) -> control_pb2.Job | None:
    """Wait for a job's final state; None when it has none, as of a controller that ends."""
    for _ in range(_END_POLL_COUNT):
        job = await controller.store.call(Store.get_job, job_id)
        if job.state in FINAL_STATES:
            return job
        await asyncio.sleep(_END_POLL_S)
    return None


async def _events(controller: Controller, job_id: str) -> list[control_pb2.JobEvent]:
    events: list[control_pb2.JobEvent] = []
    while True:
        after = events[-1].cursor if events else 0
        page = await controller.store.call(Store.list_events, job_id, after, _EVENT_PAGE)
        events += page
        if len(page) < _EVENT_PAGE:
            return events


def _processor(endpoint: str) -> SpanProcessor:
    url = urlsplit(endpoint)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise UsageError(
            "invalid_endpoint", f"{endpoint!r} is no address of an OTLP collector; write http://127.0.0.1:4318"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UsageError(
            "extra_missing", "traces need OpenTelemetry's packages: pip install 'steelyard[tracing]'"
        ) from error
    if url.path in {"", "/"}:
        url = url._replace(path="/v1/traces")
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=url.geturl()))


def make_provider(*processors: SpanProcessor) -> TracerProvider:
    """Return a provider for ``emit``."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class JobIds(RandomIdGenerator):
        """Span ids by chance; a trace has the id of its job, which the root's attributes carry."""

        def generate_trace_id(self) -> int:
            return _TRACE_ID.get()

    resource = Resource.create({"service.name": "steelyard-controller", "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=JobIds())
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def emit(trace: JobTrace, provider: TracerProvider) -> None:
    """Hand a job's spans to a provider of ``make_provider``."""
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    tracer = provider.get_tracer("steelyard")
    _TRACE_ID.set(trace.trace_id)
    root = _begun(tracer, trace.job, Context())
    for span in trace.states:
        _begun(tracer, span, set_span_in_context(root, Context())).end(span.end_ns)
    root.end(trace.job.end_ns)


def _begun(tracer: Tracer, span: Span, within: Context) -> OpenSpan:
    from opentelemetry.trace import Status, StatusCode

    begun = tracer.start_span(span.name, context=within, start_time=span.start_ns, attributes=dict(span.attributes))
    for at_ns, line in span.events:
        begun.add_event(line, timestamp=at_ns)
    if span.error:
        begun.set_status(Status(StatusCode.ERROR, span.error))
    return begun
