"""What the tests of telemetry share: a server that logs, and what OpenTelemetry collects of it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from scopedtools import Context, Principal, ScopedServer, ToolError, prompt, resource, tool
from scopedtools.auth import StaticTokens
from scopedtools.context.observer import Observer
from scopedtools.telemetry import CorrelationFilter, JsonFormatter, Telemetry

TOKENS = StaticTokens({"a": Principal("ann"), "b": Principal("bob")})
FORM: dict[str, Any] = {"type": "object", "properties": {"size": {"type": "string"}}}

_log = logging.getLogger("a.library")


class Seen:
    """Collects spans and metrics, of this object alone."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader])
        self.tracer = self.tracer_provider.get_tracer("an author")
        self.telemetry = Telemetry(tracer_provider=self.tracer_provider, meter_provider=self.meter_provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Finished spans, in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """Return the one finished span of a name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def points(self, metric: str) -> list[HistogramDataPoint | NumberDataPoint]:
        """Return the data points of a metric."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource_metrics in (data.resource_metrics if data is not None else ())
            for scope_metrics in resource_metrics.scope_metrics
            for one in scope_metrics.metrics
            if one.name == metric
            for point in one.data.data_points
            if not isinstance(point, ExponentialHistogramDataPoint)
        ]


class Shop(ScopedServer):
    """Sells, and logs what it does."""

    def __init__(
        self, seen: Seen | None = None, *, observers: Iterable[Observer] = (), **options: Any
    ) -> None:
        own = [seen.telemetry] if seen is not None else []
        super().__init__(observers=[*own, *observers], **options)
        self.seen = seen
        self.began = asyncio.Event()
        self.gate = asyncio.Event()

    @tool
    async def sell(self, item: str) -> str:
        """Sell an item."""
        _log.info("sold %s", item)
        return item

    @tool
    def weigh(self, item: str) -> str:
        """Weigh an item, in a thread."""
        assert threading.current_thread() is not threading.main_thread()
        _log.info("weighed %s", item)
        return item

    @tool
    async def pack(self, item: str) -> str:
        """Pack an item, as a step of its own."""
        assert self.seen is not None
        with self.seen.tracer.start_as_current_span("wrap"):
            _log.info("packed %s", item)
        return await asyncio.to_thread(self.weigh, item)

    @tool
    async def refuse(self) -> str:
        """Refuse."""
        raise ToolError("sold out")

    @tool
    async def crash(self) -> str:
        """Crash."""
        raise RuntimeError("the till\nis stuck")

    @tool
    async def measure(self, ctx: Context) -> str:
        """Ask for a size."""
        return (await ctx.elicit("Which size?", FORM)).action

    @tool(task="optional")
    async def order(self) -> str:
        """Order from far away."""
        self.began.set()
        await self.gate.wait()
        _log.info("it came")
        return "here"

    @resource("shop://shelf")
    async def shelf(self) -> str:
        """Look at the shelf."""
        return "full"

    @prompt
    async def praise(self) -> str:
        """Praise the shop."""
        return "How nice"


class Lines:
    """Log lines that a JSON formatter wrote."""

    def __init__(self) -> None:
        self._written = io.StringIO()
        self.handler = logging.StreamHandler(self._written)
        self.handler.setFormatter(JsonFormatter())
        self.handler.addFilter(CorrelationFilter())

    def read(self, logger: str | None = None) -> list[Mapping[str, Any]]:
        lines = [json.loads(line) for line in self._written.getvalue().splitlines()]
        return [line for line in lines if logger is None or line["logger"] == logger]


@contextmanager
def logged() -> Iterator[Lines]:
    """Collect what is logged meanwhile, from level INFO on."""
    lines = Lines()
    root = logging.getLogger()
    level = root.level
    root.addHandler(lines.handler)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(lines.handler)
