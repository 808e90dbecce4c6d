"""Traces, sent where OpenTelemetry's variables say."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import TracingInterceptor


@contextmanager
def tracing(otlp_endpoint: str | None, service: str) -> Iterator[list[Interceptor]]:
    """Interceptors for Temporal's client: of starts, signals, workflows and activities.

    Args:
        otlp_endpoint: None means that no traces are made.
        service: The name of this process, unless OTEL_SERVICE_NAME is set.
    """
    if otlp_endpoint is None:
        yield []
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield [TracingInterceptor(provider.get_tracer("longhaul"))]
    finally:
        provider.shutdown()
