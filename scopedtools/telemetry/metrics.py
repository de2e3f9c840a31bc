"""What is counted and measured, with labels of few values: no context, no principal, no session."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.metrics import MeterProvider, get_meter

from scopedtools.protocol import meta
from scopedtools.protocol.request import Request
from scopedtools.protocol.results import ListResult
from scopedtools.telemetry.names import METHOD, NAMED_BY, OPERATION, OUTCOME, PAGE, SCOPE, failed
from scopedtools.types import Outcome

_BUCKETS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Of the semantic conventions."""

_OTHER: Final = "_OTHER"
"""Stands for every name that came to nothing: clients may send any number of those."""

_ENDED_WELL: Final = frozenset({"ok", "tool_error", "input_required", "task"})
"""Only then is it certain that what the request names exists."""


class Measures:
    """The instruments, made once.

    Args:
        provider: What they belong to; by default what the process has configured, now or later.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter(SCOPE, meter_provider=provider)
        self._duration = meter.create_histogram(
            "mcp.server.operation.duration",
            unit="s",
            description="From the beginning of a request until its result.",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )
        self._pages = meter.create_counter(
            "scopedtools.list.pages",
            unit="{page}",
            description="Pages of lists, by whether the list was full, narrowed, known to the client, or "
            "made without what is kept of the context.",
        )

    def record(self, request: Request, outcome: Outcome, duration_s: float) -> None:
        """Measure a request that has ended."""
        method = request.method.name
        labels: dict[str, Any] = {METHOD: method, OUTCOME: outcome.status, **failed(outcome)}
        if (named := NAMED_BY.get(method)) is not None and named.is_name:
            labels[named.attribute] = request.target if outcome.status in _ENDED_WELL else _OTHER
            if method == "tools/call":
                labels |= OPERATION
        self._duration.record(duration_s, labels)
        if isinstance(outcome.result, ListResult):
            self._pages.add(1, {METHOD: method, PAGE: _page(outcome.result)})


def _page(result: ListResult) -> str:
    view = result.meta.get(meta.VIEW) if result.meta else None
    if view is None:
        return "full"
    if view.get("degraded"):
        return "degraded"
    if view.get("notModified"):
        return "not_modified"
    return "full" if view["shown"] == view["total"] else "narrowed"
