"""Where a request comes from: the trace that it continues, and the one that it only touches.

Sources: SEP-414 (trace context in ``_meta``), and the semantic conventions of OpenTelemetry for MCP: the
message's own context is the parent, that of its transport a link, and the parent where there is no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import Link, get_current_span

from scopedtools.protocol.request import Request

Lines = Sequence[tuple[bytes, bytes]]
"""HTTP header lines, names in lower case."""


class Origin(NamedTuple):
    """Where a request comes from.

    Attributes:
        context: OpenTelemetry context to go on in, with the parent span and the baggage, if any.
        links: To the span of the transport, where that is another than the parent.
    """

    context: otel_context.Context
    links: tuple[Link, ...]


class Origins:
    """Tells where requests come from, as far as the propagators of the process understand it."""

    def __init__(self) -> None:
        self._use(get_global_textmap())

    def of(self, request: Request) -> Origin:
        """Tell where a request comes from."""
        if self._propagator is not (propagator := get_global_textmap()):
            self._use(propagator)  # an application may configure it after it made the server
        context = otel_context.get_current()
        carrying = get_current_span(context).get_span_context()
        headers, meta = request.ingress.headers, request.meta
        # A span that runs already is that of an instrumented transport, which has read the headers.
        if not carrying.is_valid and not self._lines.isdisjoint([name for name, _ in headers]):
            context = propagator.extract(headers, context, _LINES)
            carrying = get_current_span(context).get_span_context()
        if self._keys.isdisjoint(meta):
            return Origin(context, ())
        context = propagator.extract(meta, context, _META)
        parent = get_current_span(context).get_span_context()
        same = (parent.trace_id, parent.span_id) == (carrying.trace_id, carrying.span_id)
        return Origin(context, () if same or not carrying.is_valid else (Link(carrying),))

    def _use(self, propagator: TextMapPropagator) -> None:
        # Most requests carry nothing, and looking for that in a set costs less than extracting it.
        self._propagator = propagator
        self._keys = frozenset(propagator.fields)
        self._lines = frozenset(key.lower().encode() for key in self._keys)


class _HeaderGetter(Getter[Lines]):
    def get(self, carrier: Lines, key: str) -> list[str] | None:
        name = key.lower().encode()
        return [value.decode("latin-1") for header, value in carrier if header == name] or None

    def keys(self, carrier: Lines) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


class _MetaGetter(Getter[Mapping[str, Any]]):
    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        # Whatever JSON a client sends may stand here.
        value = carrier.get(key)
        return [value] if isinstance(value, str) else None

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:
        return list(carrier)


_LINES: Final = _HeaderGetter()
_META: Final = _MetaGetter()
