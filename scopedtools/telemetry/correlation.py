"""Which request a log record belongs to: kept in the OpenTelemetry context, put on records by a filter.

That context follows asyncio tasks, and calls that are handed to worker threads with `asyncio.to_thread` or
anyio; a thread that an author starts alone begins without it.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, cast

from scopedtools.exceptions import MissingDependencyError

try:
    from opentelemetry import context as otel_context
    from opentelemetry import trace
except ImportError as error:
    raise MissingDependencyError(
        'OpenTelemetry is not installed; run pip install "scopedtools[telemetry]"'
    ) from error

_KEY: Final = otel_context.create_key("scopedtools-request")


class Correlation(NamedTuple):
    """What tells the log records of one request, and of one unit of work, from all others.

    Attributes:
        context: Digest of the context, or ``None`` where the request names none. Never the ID itself.
        principal: Name of who asks.
        method: Such as ``tools/call``.
    """

    context: str | None
    principal: str
    method: str


def correlated(correlation: Correlation, context: otel_context.Context) -> otel_context.Context:
    """Return an OpenTelemetry context in which log records belong to a request."""
    return otel_context.set_value(_KEY, correlation, context)


def current_correlation() -> Correlation | None:
    """Return what the request is known by that the caller runs for, or ``None`` outside of any."""
    return cast("Correlation | None", otel_context.get_value(_KEY))


class CorrelationFilter(logging.Filter):
    """Puts the request on each record that is emitted while it runs; lets every record pass.

    Add it to handlers. Records get the attributes ``mcp_context``, ``mcp_principal``, ``mcp_method``,
    ``trace_id`` and ``span_id``, as far as they are known; outside of requests none.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        known = current_correlation()
        # A record that came through a queue has been here, in the task that it is from.
        if known is None or hasattr(record, "mcp_method"):
            return True
        record.mcp_method = known.method
        record.mcp_principal = known.principal
        if known.context is not None:
            record.mcp_context = known.context
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            record.trace_id = trace.format_trace_id(span.trace_id)
            record.span_id = trace.format_span_id(span.span_id)
        return True
