"""Traces: a span for each request and one for each call to the Hub, sent by OTLP over HTTP.

For the extra `otel`, and imported only where `HFPROXY_OPS__TRACES` is on; where to and how much is told by the standard
variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, …). A caller's `traceparent` is
continued, and the Hub is given ours. Spans hold no query, no header and no body, and what they hold is redacted.
"""

import asyncio
import os
from types import SimpleNamespace
from typing import Self

import aiohttp
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hfproxy import __version__
from hfproxy.downstream.middleware import route_of
from hfproxy.redaction import redact


class Tracing:
    """The spans of one application. It owns its exporter, and leaves OpenTelemetry's global state alone."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("hfproxy", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def from_environment(cls) -> Self:
        """Tracing as the `OTEL_` variables say."""
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "hfproxy"}
        provider = TracerProvider(
            resource=Resource.create({**named, "service.version": __version__}), shutdown_on_exit=False
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    async def close(self) -> None:
        """Sends what was not sent yet."""
        await asyncio.to_thread(self._provider.shutdown)

    def requests(self) -> Middleware:
        """A middleware with a span around each request; it stands outside all others, so that they see its id."""

        @web.middleware
        async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = route_of(request)
            span = self._tracer.start_span(
                f"{request.method} {route}",
                context=self._propagator.extract(request.headers),
                kind=SpanKind.SERVER,
                attributes={
                    "http.request.method": request.method,
                    "http.route": route,
                    "url.path": redact(request.raw_path.partition("?")[0]),
                },
            )
            with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                structlog.contextvars.bind_contextvars(trace_id=f"{span.get_span_context().trace_id:032x}")
                try:
                    response = await handler(request)
                except asyncio.CancelledError:
                    span.set_attribute("error.type", "ClientGone")
                    raise
                _tell_status(span, response.status, wrong_from=500)
                return response

        return traced

    def hub_calls(self) -> aiohttp.TraceConfig:
        """The tracing of a session: a span for each call, from its start to the head of its answer."""

        async def begun(
            _session: aiohttp.ClientSession, call: SimpleNamespace, start: aiohttp.TraceRequestStartParams
        ) -> None:
            call.span = self._tracer.start_span(
                start.method,
                kind=SpanKind.CLIENT,
                attributes={
                    "http.request.method": start.method,
                    "server.address": start.url.host or "",
                    "server.port": start.url.port or 0,
                    "url.path": redact(start.url.raw_path),
                },
            )
            self._propagator.inject(start.headers, context=set_span_in_context(call.span))

        async def answered(
            _session: aiohttp.ClientSession, call: SimpleNamespace, end: aiohttp.TraceRequestEndParams
        ) -> None:
            _tell_status(call.span, end.response.status, wrong_from=400)
            call.span.end()

        async def failed(
            _session: aiohttp.ClientSession, call: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams
        ) -> None:
            call.span.set_attribute("error.type", type(end.exception).__name__)
            call.span.set_status(StatusCode.ERROR)
            call.span.end()

        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(begun)
        tracing.on_request_end.append(answered)
        tracing.on_request_exception.append(failed)
        return tracing


def _tell_status(span: Span, status: int, *, wrong_from: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= wrong_from:
        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)
