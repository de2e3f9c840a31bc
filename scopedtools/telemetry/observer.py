"""An observer that makes each request a span, measures it, and tells log records apart by it."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer, set_span_in_context

from scopedtools.context.context import Context
from scopedtools.context.observer import Ended
from scopedtools.protocol.request import Request
from scopedtools.telemetry.correlation import Correlation, correlated
from scopedtools.telemetry.metrics import Measures
from scopedtools.telemetry.names import (
    OUTCOME,
    SCOPE,
    VIEW,
    failed,
    span_attributes,
    span_name,
    target_of,
)
from scopedtools.telemetry.origin import Origins
from scopedtools.types import Outcome

_requests: Final = logging.getLogger("scopedtools.requests")


class Telemetry:
    """Spans, metrics and correlation of every request; give it to a server as one of its ``observers``.

    While a request runs, its span is the current one of OpenTelemetry, so that an author's own spans nest in
    it, and `CorrelationFilter` finds what the request is known by. The context stands in all of this as its
    digest only, ``Context.digest``.

    Args:
        tracer_provider: Makes the spans; by default what the process has configured, now or later. Without
            any there are no spans, and logs carry the trace that the client named.
        meter_provider: Likewise, for metrics.
        log_requests: Write a line for each request, at level INFO, to the logger ``scopedtools.requests``.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        log_requests: bool = True,
    ) -> None:
        self._tracer = get_tracer(SCOPE, tracer_provider=tracer_provider)
        self._measures = Measures(meter_provider)
        self._origins = Origins()
        self._log_requests = log_requests

    async def start(self) -> None:
        """Do nothing: providers belong to whoever made them."""

    async def stop(self) -> None:
        """Likewise."""

    def begin(self, request: Request, ctx: Context) -> Ended:
        """Begin the span of a request, and make it the current one."""
        started_s = perf_counter()
        origin = self._origins.of(request)
        target = target_of(request)
        span = self._tracer.start_span(
            span_name(request, target),
            origin.context,
            SpanKind.SERVER,
            span_attributes(request, ctx, target),
            origin.links,
        )
        known = Correlation(ctx.digest, ctx.principal.name, request.method.name)
        token = otel_context.attach(set_span_in_context(span, correlated(known, origin.context)))

        def ended(outcome: Outcome) -> None:
            duration_s = perf_counter() - started_s
            try:
                # The span is still the current one: exemplars and the line name it.
                self._measures.record(request, outcome, duration_s)
                if self._log_requests and _requests.isEnabledFor(logging.INFO):
                    _log_request(request, target, outcome, duration_s)
                _end(span, request, outcome)
            finally:
                otel_context.detach(token)

        return ended


def _log_request(request: Request, target: str | None, outcome: Outcome, duration_s: float) -> None:
    named = request.method.name if target is None else f"{request.method.name} {target}"
    ms = round(duration_s * 1000, 3)
    extra = {"target": target, "outcome": outcome.status, "code": outcome.code, "ms": ms}
    known = {name: value for name, value in extra.items() if value is not None}
    _requests.info("%s %s %.1f ms", named, outcome.status, ms, extra=known)


def _end(span: Span, request: Request, outcome: Outcome) -> None:
    if span.is_recording():
        problem = failed(outcome)
        span.set_attributes({OUTCOME: outcome.status, **problem})
        if outcome.view is not None:
            span.set_attribute(VIEW, outcome.view)
        if problem:
            span.set_status(StatusCode.ERROR)
        if outcome.status == "error":
            # Nothing may be called what it asked for: names of spans are few, those that clients try are not.
            span.update_name(request.method.name)
    span.end()
